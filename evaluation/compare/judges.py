"""What the judges of a comparison say: their score files, read back for the clips that are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import VideoAlignError
from ...files.tables import read_table
from ...reward.judge import Dimension
from .matching import MadeClip

Scores = dict[str, dict[str, float]]  # clip id -> dimension -> score


@dataclass(frozen=True)
class Judged:
    """What one judge says of both sets of clips.

    Attributes:
        title: what the report calls the judge.
        dimensions: what it gives marks for, its overall one last.
        base, candidate: the marks.
    """

    title: str
    dimensions: tuple[Dimension, ...]
    base: Scores
    candidate: Scores


def read_scores(path: Path, clips: Sequence[MadeClip], names: Sequence[str]) -> Scores:
    """Scores of a set from a file of ``videoalign score``.

    Args:
        names: of the dimensions, all of which every clip must have.

    Raises:
        VideoAlignError: a clip of the set has no score.
    """
    scores = {
        row.text_or_none("id"): {name: row.number_in(name) for name in names}
        for row in read_table(path, ("id", *names))
        if all(row.has(name) for name in names)
    }
    missing = [clip.id for clip in clips if clip.id not in scores]
    if missing:
        raise VideoAlignError(
            f"{path}: {len(missing)} clips have no score, the first is {missing[0]}. Score the folder again."
        )
    return {clip.id: scores[clip.id] for clip in clips}
