"""Gates: bounds that a clip's marks must keep, as they are written on a command line or in a widget."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..errors import VideoAlignError

_KEPT_BY: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_FORM = re.compile(r"\s*([^<>=!]+?)\s*(>=|<=|==|!=|>|<)\s*([^<>=!\s]+)\s*")


@dataclass(frozen=True)
class Gate:
    """What a clip must keep to, such as ``measures.still<0.2``; a veto, whatever else is said for the clip.

    Attributes:
        name: of the mark.
        sign: one of > >= < <= == !=.
        bound: a finite number, in the mark's unit.
    """

    name: str
    sign: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Gate:
        """From text.

        Raises:
            VideoAlignError: it is no gate; the message says how one is written.
        """
        found = _FORM.fullmatch(text)
        try:
            bound = float(found[3]) if found else math.nan
        except ValueError:
            bound = math.nan
        if not found or not math.isfinite(bound):
            raise VideoAlignError(
                f"{text!r} is no gate; write a name, one of {' '.join(_KEPT_BY)}, and a number, in quotes: "
                '"VQ>0" or "measures.still<0.2".'
            )
        return cls(found[1], found[2], bound)

    def failure(self, marks: Mapping[str, float | None]) -> str | None:
        """Why a clip with these marks does not pass; None where it does. One without the mark does not."""
        mark = marks.get(self.name)
        if mark is None:
            return f"it has no {self.name}"
        passes = _KEPT_BY[self.sign](mark, self.bound)
        return None if passes else f"{self.name} is {amount(mark)}, not {self.sign} {amount(self.bound)}"

    def __str__(self) -> str:
        """As people read it."""
        return f"{self.name} {self.sign} {amount(self.bound)}"


def parse_gates(texts: Iterable[str]) -> tuple[Gate, ...]:
    """The gates of an option that is repeated.

    Raises:
        VideoAlignError: a text is no gate.
    """
    return tuple(map(Gate.parse, texts))


def amount(value: float) -> str:
    """A number as people are shown it: four digits, large ones whole."""
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"
