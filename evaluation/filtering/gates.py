"""Gates and weights, as they are written on a command line: bounds that a clip's numbers must keep, and how much each counts."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_FORM = re.compile(r"\s*(?P<name>[^<>=!]+?)\s*(?P<operator>>=|<=|==|!=|>|<)\s*(?P<limit>[^<>=!\s]+)\s*")


@dataclass(frozen=True)
class Gate:
    """A bound on a column.

    Attributes:
        column: its name.
        operator: one of > >= < <= == !=.
        limit: a finite number, in the column's unit.
    """

    column: str
    operator: str
    limit: float

    def __str__(self) -> str:
        return f"{self.column} {self.operator} {amount(self.limit)}"

    def failure(self, value: float | None) -> str | None:
        """Why a clip with this value does not pass, or None where it does. A clip without one does not."""
        if value is None:
            return f"it has no {self.column}"
        return (
            None
            if _OPERATORS[self.operator](value, self.limit)
            else f"{self.column} is {amount(value)}, not {self.operator} {amount(self.limit)}"
        )


def amount(value: float) -> str:
    """A number as people are shown it: four digits, large ones whole."""
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def parse_gate(text: str) -> Gate:
    """A gate such as ``VQ>0`` or ``measures.motion >= 0.2``.

    Raises:
        ValueError: it is of another form; the message says of which it should be.
    """
    found = _FORM.fullmatch(text)
    try:
        limit = math.nan if found is None else float(found["limit"])
    except ValueError:
        limit = math.nan
    if found is None or not math.isfinite(limit):
        raise ValueError(
            f"{text!r} is no gate; write a column, one of {' '.join(_OPERATORS)}, and a number, in quotes: "
            '--keep "VQ>0" or --keep "motion>=0.2"'
        )
    return Gate(found["name"], found["operator"], limit)


def parse_weight(text: str) -> tuple[str, float]:
    """``VQ`` or ``VQ=0.5`` as column and weight.

    Raises:
        ValueError: the weight is no number, or 0.
    """
    name, given, weight = text.rpartition("=")
    try:
        value = float(weight) if given else 1.0
    except ValueError:
        value = 0.0
    name = name if given else text
    if not name.strip() or not 0 < abs(value) < float("inf"):
        raise ValueError(f"{text!r} is no column with a weight; write a column, or a column = a number: --by VQ=0.5")
    return name.strip(), value
