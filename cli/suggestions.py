"""What somebody may have meant by an option that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def closest_option(name: str, options: Iterable[str]) -> str | None:
    """The most likely of some options, or None.

    An option may be called by the last part of its name (``--rank`` for ``--lora.rank``), by its words' initials (``--lr`` for
    ``--optimizer.learning-rate``), by one of its words (``--steps`` for ``--max-steps``), or be misspelt.
    """
    said = name.lstrip("-").replace("_", "-").lower()
    known = [option for option in options if option.startswith("--")]
    plain = {option: option.removeprefix("--").removeprefix("no-").lower() for option in known}
    last = {option: text.rpartition(".")[2] for option, text in plain.items()}
    rules = (
        lambda option: said == plain[option],
        lambda option: len(said) > 1 and said == "".join(word[:1] for word in last[option].split("-")),
        lambda option: said in (last[option], *last[option].split("-")),
    )
    for rule in rules:
        if fitting := [option for option in known if rule(option)]:
            return min(fitting, key=lambda option: ("." in option, len(option)))  # a section's come second
    for texts in (plain, last):
        if close := difflib.get_close_matches(said, texts.values(), n=1, cutoff=0.7 if len(said) < 5 else 0.6):
            return min((option for option in known if texts[option] == close[0]), key=len)
    return None
