"""Marks of both models' clips, taken from the rows of score files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...errors import VideoAlignError
from ..judge import Dimension
from .watched import MEASURES, Watched, watch

Row = Mapping[str, float]


@dataclass(frozen=True)
class Marked:
    """One mark of the clips of two models, in the order of the pairs.

    Attributes:
        watched: which mark, and how it is watched.
        base, candidate: the marks.
    """

    watched: Watched
    base: Sequence[float]
    candidate: Sequence[float]


def marked_by_measures(base: Sequence[Row], candidate: Sequence[Row]) -> list[Marked]:
    """What the judge ``measures`` says.

    Args:
        base, candidate: rows of its score files (``Marks.to_dict``), in the order of the pairs.

    Raises:
        VideoAlignError: a row lacks a measurement.
    """
    return [_marked(watched, base, candidate) for watched in MEASURES]


def marked_by(
    title: str, dimensions: Sequence[Dimension], base: Sequence[Row], candidate: Sequence[Row]
) -> list[Marked]:
    """What a judge says by which the candidate was not trained; further arguments as above.

    Args:
        title: what a sentence calls the judge.
        dimensions: what it gives marks for.

    Raises:
        VideoAlignError: a row lacks a mark.
    """
    return [_marked(watch(one, _column(base, one.name), title), base, candidate) for one in dimensions]


def _marked(watched: Watched, base: Sequence[Row], candidate: Sequence[Row]) -> Marked:
    return Marked(watched, _column(base, watched.name), _column(candidate, watched.name))


def _column(rows: Sequence[Row], name: str) -> list[float]:
    try:
        return [row[name] for row in rows]
    except KeyError:
        raise VideoAlignError(f"A clip has no {name}: score both sets with the same judges.") from None
