"""What a person chooses about guidance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import GuidanceError, VideoAlignError
from ..reward.dimensions import DIMENSIONS
from ..reward.weights import RewardWeights

RAW, UNIT_FREE = "raw", "unit-free"
MODES = (UNIT_FREE, RAW)
# How the unit-free shift of the velocity depends on sigma; see strength.py.
SCHEDULES = ("gaussian", "paper")


@dataclass(frozen=True)
class GuidanceSettings:
    """Weights, strength and where along the path guidance acts.

    Attributes:
        weights: weight of each of VQ, MQ and TA, 0 or more; a missing one is 0. ``RAW`` uses them as given, ``UNIT_FREE``
            divides them by their sum.
        strength: w, 0 or more. ``RAW``: the paper's (100 there), which means something for one latent reward model only.
            ``UNIT_FREE``: the shift of the velocity at sigma = 1/2 in standard deviations of the latent; 0.1 to 1 is usual.
            0 changes nothing, and rewards are still recorded.
        mode: ``UNIT_FREE`` or ``RAW``.
        schedule: of the unit-free strength: "gaussian" (bounded for every sigma) or "paper" (sigma / (1 - sigma)).
        start_sigma, end_sigma: guidance acts where end_sigma <= sigma <= start_sigma. sigma = 1 is always skipped.
        cap: most that ||shift of v|| / ||v|| may be, by sample; None for no limit. ||shift of x0|| / ||x_t - x0|| is the
            same number.
        every: the reward's gradient is computed at every n-th noise level, counted from the first guided one of a run;
            the levels between use the last gradient, with their own factor and cap.

    Raises:
        GuidanceError: a value is out of range, or all weights are 0.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: RewardWeights().as_given())
    strength: float = 0.3
    mode: str = UNIT_FREE
    schedule: str = "gaussian"
    start_sigma: float = 1.0
    end_sigma: float = 0.0
    cap: float | None = 0.5
    every: int = 1

    def __post_init__(self) -> None:
        unknown = set(self.weights) - set(DIMENSIONS)
        if unknown:
            raise GuidanceError(
                f"There is no dimension {', '.join(sorted(unknown))}; weights are for {', '.join(DIMENSIONS)}."
            )
        try:
            RewardWeights(self.weights)
        except VideoAlignError as error:
            raise GuidanceError(str(error)) from None
        if not (math.isfinite(self.strength) and self.strength >= 0):
            raise GuidanceError(f"The guidance strength is {self.strength}; it must be 0 or more.")
        if self.mode not in MODES:
            raise GuidanceError(f"The strength mode {self.mode!r} is none of {', '.join(MODES)}.")
        if self.schedule not in SCHEDULES:
            raise GuidanceError(f"The schedule {self.schedule!r} is none of {', '.join(SCHEDULES)}.")
        if not 0 <= self.end_sigma <= self.start_sigma:
            raise GuidanceError(
                f"Guidance is to start at sigma {self.start_sigma} and end at {self.end_sigma}; it runs from noise to clean, so "
                "the start must be the larger one."
            )
        if self.cap is not None and not self.cap > 0:
            raise GuidanceError(f"The cap on the shift is {self.cap}; it must be above 0, or None for no cap.")
        if self.every < 1:
            raise GuidanceError(
                f"The gradient is to be computed at every {self.every}. noise level; it must be 1 or more."
            )

    def weight_row(self) -> tuple[float, float, float]:
        """Weights of VQ, MQ, TA in this order, as the mode uses them."""
        weights = RewardWeights(self.weights)
        row = weights.normalised(DIMENSIONS) if self.mode == UNIT_FREE else weights.as_given(DIMENSIONS)
        vq, mq, ta = (float(value) for value in row.values())
        return vq, mq, ta
