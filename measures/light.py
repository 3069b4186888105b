"""Light: exposure, clipped levels, black frames and frames of one colour, all from the histogram of grey levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .opencv import opencv

CRUSHED, BLOWN = 2, 253
"""Grey levels below the first and above the second are clipped: detail is lost there."""
BLACK_LEVEL, BLACK_SHARE = 25.5, 0.98
"""A frame is black if this share of it is below this level: a tenth of white, as in FFmpeg's blackdetect."""
UNIFORM = 1.0
"""A frame is of one colour if the standard deviation of its grey levels is below this."""
_LEVELS = np.arange(256, dtype=np.float64)


@dataclass(frozen=True)
class Light:
    """Of one frame.

    Attributes:
        brightness: mean grey level (Rec. 601 luma), 0 black to 1 white.
        crushed: share of pixels darker than level 2 of 255.
        blown: share of pixels lighter than level 253.
        black: whether the frame is black.
        uniform: whether it is of one colour.
    """

    brightness: float
    crushed: float
    blown: float
    black: bool
    uniform: bool


def light(grey: np.ndarray) -> Light:
    """Of grey levels [H, W] uint8."""
    counts = opencv().calcHist([grey], [0], None, [256], [0, 256]).ravel().astype(np.float64)
    mean = float(counts @ _LEVELS) / grey.size
    deviation = (float(counts @ (_LEVELS - mean) ** 2) / grey.size) ** 0.5
    return Light(
        brightness=mean / 255,
        crushed=float(counts[:CRUSHED].sum()) / grey.size,
        blown=float(counts[BLOWN + 1 :].sum()) / grey.size,
        black=float(counts[_LEVELS < BLACK_LEVEL].sum()) >= BLACK_SHARE * grey.size,
        uniform=deviation < UNIFORM,
    )
