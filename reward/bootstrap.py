"""Percentile bootstrap intervals over pairs, or over prompts when several pairs share one."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval, low <= high."""

    low: float
    high: float
    confidence: float = 0.95


def cluster_index(clusters: Iterable[Hashable] | None, count: int) -> np.ndarray:
    """For each of `count` pairs the number (0..clusters - 1) of its cluster; without clusters each pair is one.

    Clusters are any hashable names, such as the prompts: pairs of one prompt share a clip or a difficulty, so drawing
    them one by one would make the interval too narrow.
    """
    if clusters is None:
        return np.arange(count)
    names = list(clusters)
    if len(names) != count:
        raise ValueError(f"clusters must name one cluster per pair: {count} pairs, {len(names)} names.")
    numbers: dict = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def resampled_weights(cluster: np.ndarray, resamples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """`resamples` times, how often each pair occurs when its clusters are drawn with replacement: float64 [pairs]."""
    size = int(cluster.max()) + 1 if len(cluster) else 0
    for _ in range(resamples):
        drawn = np.bincount(rng.integers(size, size=size), minlength=size)
        yield drawn[cluster].astype(np.float64)


def percentile_interval(replicates: ArrayLike, confidence: float) -> Interval:
    """The central `confidence` share (0..1) of the replicates, NaN ones left out; NaN to NaN if there are none."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1 (found {confidence}); 0.95 is usual.")
    values = np.asarray(replicates, dtype=np.float64)
    values = values[~np.isnan(values)]
    if not len(values):
        return Interval(float("nan"), float("nan"), confidence)
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high), confidence)


def bootstrap_mean(
    values: ArrayLike,
    clusters: Iterable[Hashable] | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Interval for the mean of `values` [n], such as "was this pair ranked right" (0, 0.5 or 1).

    With `clusters` (one name per value) whole clusters are drawn. If all values are equal the interval has no width:
    the bootstrap cannot know of errors that the sample does not hold.
    """
    sample = np.asarray(values, dtype=np.float64)
    cluster = cluster_index(clusters, len(sample))
    rng = np.random.default_rng(seed)
    # No dot product: BLAS wakes its threads for it, and they cost more than the sum.
    drawn = resampled_weights(cluster, resamples, rng) if len(sample) else ()
    means = [float((weights * sample).sum() / weights.sum()) for weights in drawn]
    return percentile_interval(means, confidence)
