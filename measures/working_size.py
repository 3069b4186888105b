"""The sizes at which frames are measured.

A working size keeps the aspect, never enlarges, and averages areas, so that clips of one scene in several sizes can be
compared, and a large clip costs little more than one of 480p.
"""

from __future__ import annotations

import numpy as np

from .opencv import opencv

DETAIL_SIDE = 480
"""Shorter side, in pixels, at which sharpness and light are measured: 480p clips are measured as they are."""
MOTION_SIDE = 256
"""Shorter side, in pixels, at which motion, colour and cuts are measured; VBench's threshold of motion is stated for it."""


def at_working_size(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture [H, W] or [H, W, 3] with its shorter side at most ``side`` pixels; itself where it is no larger."""
    height, width = picture.shape[:2]
    shorter = min(height, width)
    if shorter <= side:
        return np.ascontiguousarray(picture)
    cv2 = opencv()
    size = max(round(width * side / shorter), 1), max(round(height * side / shorter), 1)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
