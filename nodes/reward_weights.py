"""Weights that a user can choose by name."""

from __future__ import annotations

from ..errors import VideoAlignError
from ..reward.weights import RewardWeights

CUSTOM = "custom (the sliders)"
# The operating points of "Improving Video Generation with Human Feedback", Table 5 (guidance at w = 100): name -> weights.
PRESETS = {
    "balanced, text first 0.1 : 0.1 : 0.8": RewardWeights.of(0.1, 0.1, 0.8),
    "balanced, gentler text 0.1 : 0.1 : 0.6": RewardWeights.of(0.1, 0.1, 0.6),
    "text alignment only 0 : 0 : 1": RewardWeights.of(0.0, 0.0, 1.0),
    "visual and motion quality 0.5 : 0.5 : 0": RewardWeights.of(0.5, 0.5, 0.0),
    "all equal 1 : 1 : 1": RewardWeights.of(1.0, 1.0, 1.0),
}


def chosen_weights(preset: str, VQ: float, MQ: float, TA: float) -> RewardWeights:  # noqa: N803 - names of the dimensions
    """The preset's weights, or the three values when ``preset`` is ``CUSTOM``.

    Raises:
        VideoAlignError: the preset is unknown, or the values are no weights.
    """
    if preset == CUSTOM:
        return RewardWeights.of(VQ, MQ, TA)
    if preset not in PRESETS:
        raise VideoAlignError(f"There is no preset {preset!r}. Choose one of: {', '.join([CUSTOM, *PRESETS])}.")
    return PRESETS[preset]
