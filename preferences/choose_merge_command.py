"""``videoalign choose merge``: several people's choices become one preference file."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from ..cli.options import CommandConfig, positional


class Config(CommandConfig):
    """Put several people's choices together, and print how far they agree.

    In each dimension the answer of the majority is kept; where two answers have equally many people, it is "same". The
    agreement is given as the share of equal answers and as Cohen's kappa (0: what chance gives, 1: perfect).
    """

    files: list[Path] = positional(description="Two or more preference files that videoalign choose or the node wrote.")
    output: Path = Field(Path("merged.jsonl"), description="Preference file to write (.jsonl).")
    overwrite: bool = Field(False, description="Replace an existing output.")


def run(config: Config) -> int:
    """Merge; returns the exit status."""
    from ..errors import VideoAlignError
    from .choices.merge import merge_choices, person_of
    from .preference_file import Preferences, write_preferences
    from .reading import read_preferences

    if config.output.exists() and not config.overwrite:
        raise VideoAlignError(f"{config.output} exists. Choose another --output, or allow --overwrite.")
    if config.output.suffix.lower() != ".jsonl":
        raise VideoAlignError(f"--output {config.output}: the name must end in .jsonl.")
    folder = config.output.parent
    merged = merge_choices([(person_of(path), read_preferences(path)) for path in config.files], folder)
    write_preferences(config.output, Preferences(merged.pairs, folder, config.output))
    print(_report(merged))
    print(f"\n{len(merged.pairs)} pairs in {config.output}; {merged.conflicts} answers differed and went by majority.")
    return 0


def _report(merged) -> str:
    wide = max(len(f"{one} and {two}") for (one, two) in {row.people for row in merged.agreements})
    lines = [f"{'people':<{wide}}  dimension  pairs  equal   kappa"]
    for row in merged.agreements:
        share = "-" if row.share is None else f"{100 * row.share:.0f} %"
        kappa = "-" if row.kappa is None else f"{row.kappa:.2f}"
        people = " and ".join(row.people)
        lines.append(f"{people:<{wide}}  {row.dimension:<9}  {row.pairs:>5}  {share:>5}  {kappa:>6}")
    lines.append("")
    for name, (share, decided) in merged.left.items():
        if decided:
            lines.append(f"{name} chose the clip on the left in {100 * share:.0f} % of {decided} decided pairs.")
    return "\n".join(lines)
