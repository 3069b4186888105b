"""The candidates of one prompt against each other, by marks of any judges: weighted z-scores, dominance, and vetoes by gates.

Marks of different judges have different units, so they are never added. A candidate's z-score in a mark is how many standard
deviations it stands above the mean of its prompt's candidates, more always better; what is weighted and added are z-scores. A
gate asks for a mark in its own unit, and is a veto: a candidate that does not pass it, or has no such mark, is out before
anything is compared.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import VideoAlignError
from .gates import Gate
from .weights import RewardWeights
from .z_scores import z_scores

Candidate = Mapping[str, float | None]
"""Marks of one clip by name, each in its unit; None or no entry where there is none."""


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
