"""What the judges of a comparison say: their score files, read back for the clips that are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...files.tables import read_table
from ...reward.guard.comparing import Witness
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
        unscored: why clips have none; their set in front of the id.
        source: the judge as it was named, NAME or NAME:SOURCE.
        overall: name of its mark for the whole, where it has one.
    """

    title: str
    dimensions: tuple[Dimension, ...]
    base: Scores
    candidate: Scores
    unscored: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    overall: str | None = None

    def witness(self, pairs: Sequence[tuple[MadeClip, MadeClip]]) -> Witness:
        """What it says of these pairs, for the verdict on hacking."""
        base, candidate = (
            [marks[pair[side].id] for pair in pairs] for side, marks in enumerate((self.base, self.candidate))
        )
        return Witness(self.title, self.dimensions, base, candidate, self.overall)


def read_scores(
    path: Path, clips: Sequence[MadeClip], names: Sequence[str], details: Sequence[str] = ()
) -> tuple[Scores, dict[str, str]]:
    """Scores of a set from a file of ``videoalign score``, and of the clips without: why they have none.

    Args:
        names: of the dimensions, all of which a clip must have.
        details: further columns of numbers, which come along where they are there.
    """
    scores: Scores = {}
    causes: dict[str, str] = {}
    for row in read_table(path, ("id", "error", *names, *details)):
        name = row.text_or_none("id")
        if row.has("error"):
            causes[name] = str(row.value("error"))
        elif all(row.has(mark) for mark in names):
            scores[name] = {mark: row.number_in(mark) for mark in (*names, *details) if row.has(mark)}
    unscored = "it has no score. Score the folder again."
    missing = {clip.id: causes.get(clip.id, unscored) for clip in clips if clip.id not in scores}
    return {clip.id: scores[clip.id] for clip in clips if clip.id in scores}, missing
