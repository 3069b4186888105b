"""The dimensions that VideoReward rates, once for all who name them."""

from __future__ import annotations

from .judge import Dimension

DIMENSIONS = ("VQ", "MQ", "TA")
OVERALL = "Overall"
"""Their sum where VideoReward gives it; in a preference file, which clip is better all in all."""
RATED = (*DIMENSIONS, OVERALL)
"""What preference files and the score files of VideoReward have columns for."""
MEANING = {"VQ": "visual quality", "MQ": "motion quality", "TA": "text alignment", OVERALL: "overall"}

SIGMA = "\N{GREEK SMALL LETTER SIGMA}"
"""The unit of VideoReward's scores, a standard deviation. Spelled out: the source stays readable in every code page."""
VIDEO_REWARD_DIMENSIONS = tuple(
    Dimension(name, MEANING[name], SIGMA, needs_caption=name == "TA") for name in DIMENSIONS
)
VIDEO_REWARD_OVERALL = Dimension(OVERALL, MEANING[OVERALL], SIGMA, needs_caption=True)
VIDEO_REWARD_DETAILS = ("VQ_raw", "MQ_raw", "TA_raw", "frame_indices", "height", "width", "total_frames", "fps")
