"""How the picture as a whole moves: steadily, as a camera pans, or to and fro, as one shakes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Vector = tuple[float, float]


def camera_velocity(medians: Sequence[Vector], pairs_per_second: float) -> Vector:
    """Mean velocity of the picture (x to the right, y down), in shorter sides a second.

    Args:
        medians: of each pair (``flow.Motion.camera``), in shorter sides.
        pairs_per_second: how many pairs a second of the clip has.
    """
    x, y = np.mean(medians, axis=0) * pairs_per_second
    return float(x), float(y)


def shake(medians: Sequence[Vector], pairs_per_second: float) -> float:
    """Root of the variance of the picture's velocity (of x and y together), in shorter sides a second: 0 and up.

    0 for a still camera and for a steady pan; a pan that speeds up counts too. What shakes faster than four times a second is seen
    at random moments only, since eight pairs a second are looked at.
    """
    return float(np.sqrt(np.var(medians, axis=0).sum())) * pairs_per_second
