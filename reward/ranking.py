"""The candidates of one prompt against each other, by marks of any judges: weighted z-scores, dominance, and vetoes by gates.

Marks of different judges have different units, so they are never added. A candidate's z-score in a mark is how many standard
deviations it stands above the mean of its prompt's candidates, more always better; what is weighted and added are z-scores. A
gate asks for a mark in its own unit, and is a veto: a candidate that does not pass it, or has no such mark, is out before
anything is compared.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import VideoAlignError
from .weights import RewardWeights

Candidate = Mapping[str, float | None]
"""Marks of one clip by name, each in its unit; None or no entry where there is none."""

_KEPT_BY = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
_GATE = re.compile(r"\s*(.+?)\s*(<=|>=|<|>)\s*(\S+)\s*")
_EQUAL = 1e-12
"""Of the marks' size: a spread below it is rounding, and all are equal."""


@dataclass(frozen=True)
class Gate:
    """What a candidate must keep to, such as ``measures.still<0.2``.

    Attributes:
        name: of the mark.
        sign: one of <, <=, >, >=.
        bound: in the mark's unit.
    """

    name: str
    sign: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Gate:
        """From an option's text.

        Raises:
            VideoAlignError: it is none.
        """
        found = _GATE.fullmatch(text)
        try:
            bound = float(found[3]) if found else math.nan
        except ValueError:
            bound = math.nan
        if not found or not math.isfinite(bound):
            raise VideoAlignError(f"The gate {text!r} is none; write NAME<BOUND or NAME>BOUND, as measures.still<0.2.")
        return cls(found[1], found[2], bound)

    def failure(self, marks: Candidate) -> str | None:
        """Why a candidate does not pass; None where it does."""
        mark = marks.get(self.name)
        if mark is None:
            return f"it has no {self.name}, which the gate {self} asks for"
        return None if _KEPT_BY[self.sign](mark, self.bound) else f"{self.name} is {mark:.4g}, the gate is {self}"

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.name}{self.sign}{self.bound:g}"


@dataclass(frozen=True)
class Standing:
    """Where a candidate stands among those of its prompt.

    Attributes:
        z: its z-scores by mark, more always better; empty for one that is out.
        total: their weighted mean; None for one that is out.
        out: why it is out, a reason for each gate that it fails and each mark that it lacks.
    """

    z: Mapping[str, float]
    total: float | None
    out: tuple[str, ...] = ()


def z_scores(values: Sequence[float]) -> list[float]:
    """(value - mean) / standard deviation (of the population); all 0 where all are equal, up to rounding."""
    if not values:
        return []
    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    if spread <= _EQUAL * max(map(abs, values)):
        return [0.0] * len(values)
    return [(value - mean) / spread for value in values]


def standings(
    candidates: Sequence[Candidate],
    weights: RewardWeights | None = None,
    gates: Iterable[Gate] = (),
    lower_is_better: Collection[str] = (),
    compared: Iterable[str] = (),
) -> list[Standing]:
    """The standing of each candidate of one prompt, in their order.

    Args:
        weights: of the marks; a candidate that lacks one with weight is out. None: no total is asked for, and all are 0.
        gates: what each must keep to.
        lower_is_better: names of the marks of which less is better.
        compared: further marks that each must have and that get a z-score, for ``dominates``.
    """
    gates = list(gates)
    shares = {} if weights is None else {name: share for name, share in weights.normalised().items() if share}
    names = list(dict.fromkeys([*shares, *compared]))
    out = [
        (
            *(reason for gate in gates if (reason := gate.failure(marks))),
            *(f"it has no {name}" for name in names if marks.get(name) is None),
        )
        for marks in candidates
    ]
    inside = [index for index, reasons in enumerate(out) if not reasons]
    columns = {}
    for name in names:
        sign = -1 if name in lower_is_better else 1
        columns[name] = dict(zip(inside, z_scores([sign * candidates[index][name] for index in inside]), strict=True))  # type: ignore[operator]
    rows = []
    for index, reasons in enumerate(out):
        z = {} if reasons else {name: columns[name][index] for name in names}
        total = None if reasons else math.fsum(share * z[name] for name, share in shares.items())
        rows.append(Standing(z, total, reasons))
    return rows


def dominates(first: Standing, second: Standing, names: Sequence[str], least: int, margin: float = 0.0) -> bool:
    """Whether the first is better than the second by more than ``margin`` (in standard deviations) in at least ``least`` of the
    marks ``names``, and in more of them than it is worse; never where one of them is out.
    """
    if first.out or second.out:
        return False
    leads = [first.z[name] - second.z[name] for name in names]
    better, worse = sum(lead > margin for lead in leads), sum(lead < -margin for lead in leads)
    return better >= least and better > worse


def check_names(names: Iterable[str], candidates: Iterable[Candidate], what: str) -> None:
    """Refuse names that no candidate has a mark of: a slip of the pen would only empty the result.

    Args:
        what: is asked by these names, for the message.

    Raises:
        VideoAlignError: there is such a name.
    """
    known = dict.fromkeys(name for marks in candidates for name, mark in marks.items() if mark is not None)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise VideoAlignError(
            f"{what}: no clip has a mark called {unknown[0]!r}. Marks are: {', '.join(known) or 'none'}."
        )
