"""Flicker: how much neighbouring frames differ. VBench's "temporal flickering" (arXiv 2311.17982)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .opencv import opencv


def mean_difference(picture: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference of two uint8 pictures of one shape, over all pixels and channels, in levels: 0 to 255."""
    cv2 = opencv()
    return float(cv2.norm(picture, other, cv2.NORM_L1)) / picture.size


def temporal_flickering(differences: Sequence[float]) -> float:
    """VBench's score, of the differences of all neighbouring frames at full size: 0 to 1, 1 for a clip that stands still.

    (255 - mean difference) / 255. It cannot tell flicker from motion: VBench asks it of prompts without motion only.
    """
    return (255.0 - float(np.mean(differences))) / 255.0
