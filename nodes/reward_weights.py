"""How much each dimension of a reward counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import VideoAlignError
from .scored_clip import DIMENSIONS


@dataclass(frozen=True)
class RewardWeights:
    """Weights of VQ, MQ and TA, kept as they were given.

    Raw guidance strength uses them as given (0.1 : 0.1 : 0.6 steers less than 0.1 : 0.1 : 0.8); everything else uses
    ``normalised``.

    Raises:
        VideoAlignError: one is negative or not a number, or all are zero.
    """

    VQ: float = 0.1
    MQ: float = 0.1
    TA: float = 0.8

    def __post_init__(self) -> None:
        for name in DIMENSIONS:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise VideoAlignError(f"The weight of {name} is {value}; it must be 0 or more.")
        if not any(self.as_given().values()):
            raise VideoAlignError("The weights of VQ, MQ and TA are all 0; give at least one of them a value above 0.")

    def as_given(self) -> dict[str, float]:
        """The three values by dimension, unchanged."""
        return {name: getattr(self, name) for name in DIMENSIONS}

    def normalised(self, dimensions: tuple[str, ...] = DIMENSIONS) -> dict[str, float]:
        """The weights of ``dimensions`` divided by their sum.

        Raises:
            VideoAlignError: none of these dimensions has any weight.
        """
        chosen = {name: getattr(self, name) for name in dimensions}
        total = sum(chosen.values())
        if not total:
            missing = ", ".join(name for name in DIMENSIONS if name not in dimensions)
            raise VideoAlignError(
                f"All the weight is on {missing}, which these clips have no score for: TA needs a caption. Give Score Video a "
                f"caption, or give {' or '.join(dimensions)} some weight."
            )
        return {name: value / total for name, value in chosen.items()}


CUSTOM = "custom (the sliders)"
# The operating points of "Improving Video Generation with Human Feedback", Table 5 (guidance at w = 100): name -> weights.
PRESETS = {
    "balanced, text first 0.1 : 0.1 : 0.8": RewardWeights(0.1, 0.1, 0.8),
    "balanced, gentler text 0.1 : 0.1 : 0.6": RewardWeights(0.1, 0.1, 0.6),
    "text alignment only 0 : 0 : 1": RewardWeights(0.0, 0.0, 1.0),
    "visual and motion quality 0.5 : 0.5 : 0": RewardWeights(0.5, 0.5, 0.0),
    "all equal 1 : 1 : 1": RewardWeights(1.0, 1.0, 1.0),
}


def chosen_weights(preset: str, VQ: float, MQ: float, TA: float) -> RewardWeights:  # noqa: N803 - names of the dimensions
    """The preset's weights, or the three values when ``preset`` is ``CUSTOM``.

    Raises:
        VideoAlignError: the preset is unknown, or the values are no weights.
    """
    if preset == CUSTOM:
        return RewardWeights(VQ, MQ, TA)
    if preset not in PRESETS:
        raise VideoAlignError(f"There is no preset {preset!r}. Choose one of: {', '.join([CUSTOM, *PRESETS])}.")
    return PRESETS[preset]
