"""Cuts: where a clip jumps to another picture. A clip of one prompt should have none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .opencv import opencv

BINS = 32
CUT_DISTANCE = 0.3
"""Two frames with histograms less alike than this may be of two shots; neighbours in one shot are at some hundredths."""
CUT_RATIO = 2.0
"""And the step must be this many times those before and after it, else it is a flash, a fade or a fast pan."""


def _triangles() -> np.ndarray:
    """[256, BINS]: each level's weights in the two bins whose centres it lies between, so that no level jumps from bin to bin."""
    position = np.clip((np.arange(256) + 0.5) * BINS / 256 - 0.5, 0, BINS - 1)
    return np.maximum(0.0, 1 - np.abs(position[:, None] - np.arange(BINS)))


_WEIGHTS = _triangles()


def colour_histogram(picture: np.ndarray) -> np.ndarray:
    """Shares of the levels of each channel of uint8 RGB [H, W, 3]: float64 [3, BINS], rows sum to 1."""
    cv2 = opencv()
    pixels = picture.shape[0] * picture.shape[1]
    counts = [cv2.calcHist([picture], [channel], None, [256], [0, 256]).ravel() for channel in range(3)]
    return np.asarray(counts, dtype=np.float64) @ _WEIGHTS / pixels


def histogram_distance(histogram: np.ndarray, other: np.ndarray) -> float:
    """Half the sum of the absolute differences, mean over the channels: 0 alike to 1 nothing in common."""
    return float(np.abs(histogram - other).sum()) / 2 / len(histogram)


def cuts(distances: Sequence[float]) -> list[int]:
    """Indices of the frames that begin a new shot.

    Args:
        distances: histogram distance of each frame, but for the first, to the one before.
    """
    around = [0.0, *distances, 0.0]
    return [
        number
        for number in range(1, len(around) - 1)
        if around[number] > CUT_DISTANCE and around[number] > CUT_RATIO * max(around[number - 1], around[number + 1])
    ]
