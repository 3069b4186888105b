"""The verdict on two models from what judges say of their clips: who trained, who watches, and what is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..judge import Dimension
from .marked import Marked, Row, marked_by, marked_by_measures
from .verdict import Verdict, verdict


@dataclass(frozen=True)
class Witness:
    """What one judge says of the pairs' clips.

    Attributes:
        title: what a sentence calls it.
        dimensions: what it gives marks for, its overall one last.
        base, candidate: rows of its score files, in the order of the pairs.
        overall: name of its mark for the whole, where it has one.
    """

    title: str
    dimensions: Sequence[Dimension]
    base: Sequence[Row]
    candidate: Sequence[Row]
    overall: str | None = None


def verdict_of(
    trained_by: Witness, watching: Sequence[Witness], measured: Witness | None, prompts: Sequence[str]
) -> Verdict:
    """What a comparison shows.

    The reward is the judge's mark for the whole; of one that has none, the mean of its marks, each in standard deviations of all clips.

    Args:
        trained_by: the judge that the candidate was trained by, or was chosen by.
        watching: judges that it was not trained by.
        measured: the judge ``measures``.
        prompts: of each pair.

    Raises:
        VideoAlignError: there is no pair, or a mark is missing.
    """
    marked: list[Marked] = [
        one for judge in watching for one in marked_by(judge.title, judge.dimensions, judge.base, judge.candidate)
    ]
    if measured:
        marked += marked_by_measures(measured.base, measured.candidate)
    reward = _merits(trained_by).tolist()
    return verdict((reward[: len(prompts)], reward[len(prompts) :]), marked, prompts, trained_by.title)


def _merits(judge: Witness) -> np.ndarray:
    """One value for each of the base's clips, then for each of the candidate's, more being better; NaN where a mark is missing."""
    counted = [one for one in judge.dimensions if one.name == judge.overall] or list(judge.dimensions)
    marks = np.array(
        [
            [np.nan if (mark := row.get(one.name)) is None else one.merit(mark) for one in counted]
            for row in (*judge.base, *judge.candidate)
        ]
    )
    if len(counted) == 1:
        return marks[:, 0]
    spread = marks.std(axis=0)
    return (marks / np.where(spread > 0, spread, 1.0)).mean(axis=1)
