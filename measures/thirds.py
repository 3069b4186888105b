"""How a value over time changes from the first third of a clip to its last: fading, blurring, colour that runs away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def first_and_last_third(values: Sequence[float]) -> tuple[float, float]:
    """Mean of the first and of the last third of the frames (rounded down, at least one frame each)."""
    count = max(len(values) // 3, 1)
    return float(np.mean(values[:count])), float(np.mean(values[-count:]))


def drift(values: Sequence[float]) -> float:
    """Size of the change from the first third to the last, in the values' unit; 0 and up."""
    first, last = first_and_last_third(values)
    return abs(last - first)


def drop(values: Sequence[float]) -> float:
    """How much of values that are not negative is lost: (first - last) / the larger of both.

    From -1 (there was nothing at first) over 0 (no change) to 1 (nothing is left); 0 where both are 0.
    """
    first, last = first_and_last_third(values)
    larger = max(first, last)
    return (first - last) / larger if larger > 0 else 0.0
