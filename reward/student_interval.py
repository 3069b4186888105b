"""Intervals for the mean of few values: right from two values on, where a bootstrap is far too narrow.

Of clips that share a prompt only the prompt is drawn by chance: `prompt_means` comes first.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist

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


def share_interval(shares: ArrayLike, confidence: float = 0.95) -> Interval:
    """Two-sided interval for the mean of independent shares [n], each 0 to 1, such as "won" (0, 1/2 for a tie, 1).

    Two values that are won and two that are lost are added, and the normal interval is taken of all (A. Agresti and B. Coull,
    "Approximate is better than exact", 1998): it has a width even where all are won, and never leaves 0..1.

    Raises:
        ValueError: no value, or a confidence outside 0..1.
    """
    given = np.asarray(shares, dtype=np.float64)
    if not len(given) or not 0 < confidence < 1:
        raise ValueError(f"{len(given)} shares and confidence {confidence}; expected one at least, and 0..1.")
    sample = np.concatenate([given, (0.0, 0.0, 1.0, 1.0)])
    mean = float(sample.mean())
    half = NormalDist().inv_cdf((1 + confidence) / 2) * float(sample.std()) / math.sqrt(len(sample))
    # The middle is drawn towards one half; what was seen lies inside all the same.
    seen = float(given.mean())
    return Interval(max(0.0, min(mean - half, seen)), min(1.0, max(mean + half, seen)), confidence)


def never_without_width(interval: Interval, share: float, groups: int) -> Interval:
    """A bootstrap's interval of a share, or, where all groups that it drew from are alike, `share_interval` of that many.

    Of groups that are all right a bootstrap draws groups that are all right, however few they are: it knows nothing of errors
    that the sample does not hold.

    Args:
        share: what the interval is of, 0 to 1; lies inside.
        groups: that were drawn, such as prompts.
    """
    if groups < 1 or not math.isfinite(share) or interval.high > interval.low:
        return interval
    return share_interval(np.full(groups, share), interval.confidence)


def prompt_means(values: ArrayLike, prompts: Sequence[Hashable]) -> np.ndarray:
    """The mean of the values [n] of each prompt, in the order in which prompts appear: each counts once, whatever its seeds.

    Args:
        prompts: of each value.
    """
    numbers: dict[Hashable, int] = {}
    cluster = np.array([numbers.setdefault(prompt, len(numbers)) for prompt in prompts])
    return np.bincount(cluster, np.asarray(values, dtype=np.float64)) / np.bincount(cluster)


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
