"""Interval for the mean of few values, by Student's t: right from two values on, where a bootstrap is far too narrow."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import ArrayLike

from .bootstrap import Interval


def student_mean(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Two-sided interval for the mean of independent values [n]; from minus to plus infinity for a single one.

    Exact for normal values. Values that are all equal give no width.

    Raises:
        ValueError: no value, or a confidence outside 0..1.
    """
    sample = np.asarray(values, dtype=np.float64)
    if not len(sample):
        raise ValueError("there is no value to take the mean of.")
    if len(sample) == 1:
        return Interval(-math.inf, math.inf, confidence)
    mean = float(sample.mean())
    half = student_quantile(confidence, len(sample) - 1) * float(sample.std(ddof=1)) / math.sqrt(len(sample))
    return Interval(mean - half, mean + half, confidence)


@functools.lru_cache(maxsize=256)
def student_quantile(confidence: float, freedom: int) -> float:
    """The t with P(|T| < t) = ``confidence`` (0..1) for ``freedom`` degrees, 1 and up.

    Raises:
        ValueError: they are out of range.
    """
    if not 0 < confidence < 1 or freedom < 1:
        raise ValueError(f"confidence {confidence} and {freedom} degrees of freedom; expected 0..1, and 1 or more.")
    low, high = 0.0, 1.0
    while _within(high, freedom) < confidence:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < confidence else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """P(|T| < t): Abramowitz and Stegun, 26.7.3 and 26.7.4, finite sums for whole degrees of freedom."""
    angle = math.atan2(t, math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    if freedom % 2:
        steps = np.arange(1, (freedom - 1) // 2, dtype=np.float64)
        terms = np.cumprod(np.concatenate([[cosine], 2 * steps / (2 * steps + 1) * cosine**2]))
        return 2 / math.pi * (angle + (sine * float(terms.sum()) if freedom > 1 else 0.0))
    steps = np.arange(1, freedom // 2, dtype=np.float64)
    return sine * float(np.cumprod(np.concatenate([[1.0], (2 * steps - 1) / (2 * steps) * cosine**2])).sum())
