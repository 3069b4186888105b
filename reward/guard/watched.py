"""What is watched beside the reward: which marks, which way is worse, and how small a difference is of no interest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..judge import Dimension

SMALL_EFFECT = 0.2
"""Of the spread (standard deviation) of the base's marks: Cohen's small effect, below which a difference is of no interest."""


@dataclass(frozen=True)
class Watched:
    """One mark that is watched.

    Attributes:
        name: column of the score file.
        title: as a sentence calls it.
        unit: of the mark.
        direction: 1 where more is better, -1 where less is, 0 where neither is: such a change is told, and counts against a
            gain only where it goes ``too_far``.
        least: smallest difference of interest, in the mark's unit; or as a share of the base's mean where ``relative``.
        relative: whether a difference is told in per cent of the base's mean, for marks with a true zero.
        too_far: of a mark without a direction: a change, either way, that is no matter of taste any more; as ``least``.
    """

    name: str
    title: str
    unit: str
    direction: int
    least: float
    relative: bool = False
    too_far: float | None = None

    @property
    def can_fall(self) -> bool:
        """Whether any change of it counts against a gain."""
        return self.direction != 0 or self.too_far is not None

    def in_unit(self, share: float, base: Sequence[float]) -> float:
        """``least`` or ``too_far`` in the mark's unit."""
        return share * abs(float(np.mean(base))) if self.relative else share


MEASURES = (
    Watched("motion", "motion", "share of VBench's threshold", 1, 0.1, relative=True),
    Watched("object_motion", "motion without the camera's", "share of VBench's threshold", 1, 0.1, relative=True),
    Watched("dynamic", "the share of clips that move", "of all clips", 1, 0.1),
    Watched("shake", "camera shake", "shorter sides a second", -1, 0.05),
    Watched("still", "the share of still frames", "of all frames", -1, 0.02),
    Watched("duplicated", "the share of duplicated frames", "of all frames", -1, 0.02),
    Watched("freeze", "the longest standstill", "s", -1, 0.1),
    Watched("late_start", "the standstill at the start", "s", -1, 0.1),
    Watched("sharpness", "sharpness", "squared levels", 1, 0.1, relative=True),
    Watched("blurring", "loss of sharpness within a clip", "of the sharpness", -1, 0.05),
    Watched("crushed", "the share of crushed shadows", "of the pixels", -1, 0.02),
    Watched("blown", "the share of blown highlights", "of the pixels", -1, 0.02),
    Watched("light_drift", "drift of brightness within a clip", "of white", -1, 0.03),
    Watched("colour_drift", "drift of saturation within a clip", "of full saturation", -1, 0.03),
    Watched("black", "the share of black frames", "of all frames", -1, 0.02),
    Watched("uniform", "the share of frames of one colour", "of all frames", -1, 0.02),
    Watched("cuts", "cuts", "a clip", -1, 0.1),
    # A clip that moves more differs more from frame to frame, and a taste for colour is no fault, up to a point: a quarter more
    # saturation is the gloss that rewards are known to pay for.
    Watched("flickering", "steadiness", "", 0, 0.01),
    Watched("saturation", "saturation", "HSV saturation", 0, 0.05, relative=True, too_far=0.25),
    Watched("brightness", "brightness", "of white", 0, 0.05, relative=True, too_far=0.25),
)
"""Of the judge ``measures``, its details included."""


def watch(dimension: Dimension, base: Sequence[float], judge: str) -> Watched:
    """How another judge's dimension is watched: differences below a fifth of the spread of its marks are of no interest.

    Args:
        base: its marks of the base's clips.
        judge: what a sentence calls the judge.
    """
    spread = float(np.std(base, ddof=1)) if len(base) > 1 else 0.0
    direction = 1 if dimension.higher_is_better else -1
    unit = dimension.unit.partition(":")[0]  # what follows explains it
    return Watched(dimension.name, f"{dimension.meaning} by {judge}", unit, direction, SMALL_EFFECT * spread)
