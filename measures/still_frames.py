"""Frames that repeat the one before: a clip that freezes, begins late, or plays each frame twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

STILL = 0.05
"""A frame is still if it differs from the one before by less than this mean absolute difference, in levels of 255: what H.264 makes
of a repeated frame is below, and the faintest noise above."""


@dataclass(frozen=True)
class StillRun:
    """Neighbouring frames that are one picture.

    Attributes:
        first: index of the frame that is repeated.
        repeats: how many frames repeat it.
    """

    first: int
    repeats: int

    @property
    def last(self) -> int:
        """Index of the last frame that shows the picture."""
        return self.first + self.repeats


def still_runs(differences: Sequence[float]) -> list[StillRun]:
    """The runs of still frames, in order.

    Args:
        differences: mean absolute difference of each frame, but for the first, to the one before, in levels of 255.
    """
    runs: list[StillRun] = []
    length = 0
    for index, difference in enumerate([*differences, float("inf")]):
        if difference < STILL:
            length += 1
        elif length:
            runs.append(StillRun(index - length, length))
            length = 0
    return runs


def still_share(differences: Sequence[float]) -> float:
    """Share of the pairs of neighbouring frames that are one picture: 0 to 1."""
    return sum(run.repeats for run in still_runs(differences)) / len(differences)


def duplicated_share(differences: Sequence[float]) -> float:
    """Share of the pairs that are one picture while the clip goes on before and after: single repeated frames, as from a clip that
    was brought to a higher rate. 0 to 1; 0.5 for a clip in which every frame comes twice."""
    inside = [run for run in still_runs(differences) if run.first > 0 and run.last < len(differences)]
    return sum(run.repeats == 1 for run in inside) / len(differences)


def longest_freeze(differences: Sequence[float], fps: float) -> float:
    """Seconds for which the longest run of still frames holds up the clip: repeats / fps, 0 and up."""
    return max((run.repeats for run in still_runs(differences)), default=0) / fps


def freeze_at_start(differences: Sequence[float], fps: float) -> float:
    """Seconds for which the clip stands still before it begins to move, as clips made from a picture do: 0 and up."""
    runs = still_runs(differences)
    return runs[0].repeats / fps if runs and runs[0].first == 0 else 0.0
