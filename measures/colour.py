"""Colour: how saturated a frame is."""

from __future__ import annotations

import numpy as np

from .opencv import opencv


def saturation(picture: np.ndarray) -> float:
    """Mean saturation of HSV, (largest - smallest channel) / largest and 0 for black, of uint8 RGB [H, W, 3]: 0 grey to 1."""
    cv2 = opencv()
    return float(cv2.mean(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV))[1]) / 255
