"""Tables of renamed name parts, the form in which each family's ``*_names.py`` writes its names."""

from __future__ import annotations

import re
from collections.abc import Iterable


class Renames:
    """Rules (regular expression, replacement), applied one after the other, each at most once to a name.

    Rules match whole parts of a dotted name: a rule never begins or ends inside a part.
    """

    def __init__(self, rules: Iterable[tuple[str, str]]) -> None:
        self._rules = [(re.compile(rf"(?<![^.]){pattern}(?![^.])"), new) for pattern, new in rules]

    def __call__(self, name: str) -> str:
        for pattern, new in self._rules:
            name = pattern.sub(new, name, count=1)
        return name
