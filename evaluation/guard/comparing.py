"""The verdict on two models from what judges say of their clips: who trained, who watches, and what is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...reward.judge import Dimension
from .marked import Marked, Row, marked_by, marked_by_measures
from .verdict import Verdict, verdict


@dataclass(frozen=True)
class Witness:
    """What one judge says of the pairs' clips.

    Attributes:
        title: what a sentence calls it.
        dimensions: what it gives marks for, its overall one last.
        base, candidate: rows of its score files, in the order of the pairs.
    """

    title: str
    dimensions: Sequence[Dimension]
    base: Sequence[Row]
    candidate: Sequence[Row]


def verdict_of(
    trained_by: Witness, watching: Sequence[Witness], measured: Witness | None, prompts: Sequence[str]
) -> Verdict:
    """What a comparison shows of the reward's last dimension (its overall one, where it has one).

    Args:
        trained_by: the judge that the candidate was trained by, or was chosen by.
        watching: judges that it was not trained by.
        measured: the judge ``measures``.
        prompts: of each pair.

    Raises:
        VideoAlignError: there is no pair, or a mark is missing.
    """
    marked: list[Marked] = [one for judge in watching for one in marked_by(judge.title, judge.dimensions, judge.base, judge.candidate)]
    if measured:
        marked += marked_by_measures(measured.base, measured.candidate)
    dimension = trained_by.dimensions[-1]
    reward = tuple([_merit(dimension, row) for row in rows] for rows in (trained_by.base, trained_by.candidate))
    return verdict((reward[0], reward[1]), marked, prompts, trained_by.title)


def _merit(dimension: Dimension, row: Mapping[str, float | None]) -> float | None:
    mark = row.get(dimension.name)
    return None if mark is None else dimension.merit(mark)
