"""Ties-included accuracy: a reward's difference below a threshold is called a tie, and the threshold is calibrated.

Deutsch, Foster, Freitag, "Ties Matter" (arXiv 2305.14324): the model says tie if |r_A - r_B| <= epsilon, and the
accuracy is (right + ties that people also call ties) / pairs. The paper takes the best epsilon on the very pairs that
are measured: `calibrate_ties` is that number, exact and independent of the order of the rows. It flatters, since the
threshold has seen the answers; `held_out_ties` fits it on one part and measures on the other, with a bootstrap
interval.

Labels: 1 = A better, -1 = B better, 0 = tie, NaN or 22 = invalid (left out). Differences: r_A - r_B, any unit.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .bootstrap import Interval, cluster_index, percentile_interval, resampled_weights
from .student_interval import never_without_width

INVALID = 22

SPLITS_PER_RESAMPLE = 5
"""A random split adds its own scatter: a "90 %" interval from single splits covered 96 % in simulation, from 5 92 %."""


def valid_pairs(labels: ArrayLike, differences: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and differences of the valid pairs, float64 [n], and their positions in the input.

    Raises ValueError for another label than 1, -1, 0, 22 or NaN, and for a difference under a valid label that is NaN:
    a clip that could not be scored must not be counted as right or wrong.
    """
    h, d = np.asarray(labels, dtype=np.float64), np.asarray(differences, dtype=np.float64)
    if h.ndim != 1 or h.shape != d.shape:
        raise ValueError(f"labels and differences must be two lists of one length; found {h.shape} and {d.shape}.")
    valid = ~np.isnan(h) & (h != INVALID)
    unknown = valid & ~np.isin(h, (1, -1, 0))
    if unknown.any():
        row = int(np.flatnonzero(unknown)[0])
        raise ValueError(f"label {h[row]:g} of pair {row} is not one of 1 (A), -1 (B), 0 (tie), 22 or NaN (invalid).")
    missing = valid & np.isnan(d)
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        raise ValueError(
            f"the score difference of pair {row} is NaN ({int(missing.sum())} of {len(d)} pairs): a clip was not "
            "scored. Score it again, or set the label to invalid to leave the pair out."
        )
    kept = np.flatnonzero(valid)
    return h[kept], d[kept], kept


@dataclass(frozen=True)
class TieCalibration:
    """The best threshold on the pairs it was fitted to, and the accuracy there (NaN without pairs)."""

    threshold: float
    accuracy: float
    pairs: int


@dataclass(frozen=True)
class HeldOutTies:
    """Ties-included accuracy on pairs that the threshold has not seen: mean over repeated splits, with its interval."""

    accuracy: float
    interval: Interval
    threshold: float
    """Mean of the fitted thresholds, in the unit of the differences."""
    pairs: int
    folds: int
    repeats: int


class _Sweep:
    """Pairs sorted by |difference|, so that a threshold is a prefix: [0, end) are predicted ties, the rest ranked."""

    def __init__(self, labels: np.ndarray, differences: np.ndarray):
        magnitude = np.abs(differences)
        self.order = np.argsort(magnitude, kind="stable")
        self.magnitude = magnitude[self.order]
        self.tie = (labels[self.order] == 0).astype(np.float64)
        self.right = (labels[self.order] * np.sign(differences[self.order]) > 0).astype(np.float64)
        # Pairs of equal |difference| are ties together or not at all: only the end of each group is a threshold.
        # Zero is always one of them, as equal scores cannot be ranked.
        last = np.flatnonzero(np.append(self.magnitude[1:] != self.magnitude[:-1], True)) + 1
        zero = np.searchsorted(self.magnitude, 0.0, side="right")
        self.ends = np.unique(np.append(last, zero))
        self.lead = (self.tie - self.right).astype(np.int32)

    def gained(self, lead: np.ndarray, running: np.ndarray, out: np.ndarray) -> np.ndarray:
        """For each threshold, by how much more of the weight is right than without any; ``lead`` is weights * ``self.lead``.

        Weights are how often a pair was drawn, so whole numbers of 32 bits are exact, and twice as fast as doubles.

        Args:
            running: int32 [pairs + 1] whose first is 0, to be written over.
            out: int32 [thresholds]; the result.
        """
        np.cumsum(lead, out=running[1:])
        np.take(running, self.ends, out=out, mode="clip")  # they are in range; "raise" would make a copy
        return out

    def threshold(self, number: int) -> float:
        end = self.ends[number]
        return float(self.magnitude[end - 1]) if end else 0.0


def calibrate_ties(labels: ArrayLike, differences: ArrayLike) -> TieCalibration:
    """The best ties-included accuracy over all thresholds >= 0, O(n log n); exact, whatever the order of the rows."""
    h, d, _ = valid_pairs(labels, differences)
    if not len(h):
        return TieCalibration(0.0, float("nan"), 0)
    sweep = _Sweep(h, d)
    gained = sweep.gained(sweep.lead, np.zeros(len(h) + 1, np.int32), np.empty(len(sweep.ends), np.int32))
    best = int(gained.argmax())  # the smallest threshold among equally good ones
    return TieCalibration(sweep.threshold(best), float((sweep.right.sum() + gained[best]) / len(h)), len(h))


def ties_included_accuracy(labels: ArrayLike, differences: ArrayLike, threshold: float) -> float:
    """Share of valid pairs whose verdict is the people's, if |difference| <= threshold (>= 0, same unit) means tie."""
    if not threshold >= 0:
        raise ValueError(f"threshold must be 0 or more (found {threshold}).")
    h, d, _ = valid_pairs(labels, differences)
    if not len(h):
        return float("nan")
    return float((np.where(np.abs(d) <= threshold, 0.0, np.sign(d)) == h).mean())


class _CrossFit:
    """Thresholds fitted on all folds but one and measured on that one, for pairs that are drawn and split again and again.

    Its arrays are made once: new ones of this size each time would be pages that the system hands out and takes back.
    """

    def __init__(self, sweep: _Sweep, cluster: np.ndarray, folds: int):
        self.sweep, self.cluster, self.clusters, self.folds = sweep, cluster, int(cluster.max()) + 1, folds
        pairs, thresholds = len(cluster), len(sweep.ends)
        self.lead, self.part = np.empty((2, pairs), np.int32)
        self.fold, self.inside = np.empty(pairs, np.int8), np.empty(pairs, bool)
        self.running = np.zeros(pairs + 1, np.int32)
        self.total, self.others = np.empty((2, thresholds), np.int32)
        self.gained = np.empty((folds, thresholds), np.int32)

    def draw(self, weights: np.ndarray) -> None:
        """Take each pair as often as ``weights`` [pairs] say."""
        np.multiply(weights, self.sweep.lead, out=self.lead, casting="unsafe")
        self.sweep.gained(self.lead, self.running, self.total)
        # Whole numbers in doubles: exact. No dot product: BLAS wakes its threads for it, which takes longer than all else here.
        self.right, self.weight = float((weights * self.sweep.right).sum()), float(weights.sum())

    def split(self, rng: np.random.Generator) -> tuple[float, float]:
        """One random split into folds by cluster: held-out accuracy over all pairs, and the mean threshold."""
        numbers = (rng.permutation(self.clusters) % self.folds).astype(np.int8)
        np.take(numbers, self.cluster, out=self.fold, mode="clip")
        self.gained[0] = self.total
        for number in range(1, self.folds):
            np.equal(self.fold, number, out=self.inside)
            np.multiply(self.lead, self.inside, out=self.part)
            self.gained[0] -= self.sweep.gained(self.part, self.running, self.gained[number])
        right, thresholds = self.right, []
        for own in self.gained:
            best = int(np.subtract(self.total, own, out=self.others).argmax())
            right += float(own[best])
            thresholds.append(self.sweep.threshold(best))
        return right / self.weight, float(np.mean(thresholds))


def held_out_ties(
    labels: ArrayLike,
    differences: ArrayLike,
    clusters: Iterable[Hashable] | None = None,
    *,
    folds: int = 2,
    repeats: int = 20,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> HeldOutTies:
    """Ties-included accuracy with the threshold fitted on the other folds (two: one half against the other half).

    The estimate is the mean over `repeats` random splits. The interval redraws the pairs (`clusters`, one name per pair
    such as its prompt: whole clusters) `resamples` times and refits each time, so it holds the threshold's uncertainty
    too. A drawn copy of a pair stays in its original's fold, and so do the pairs of one cluster: nothing leaks.
    """
    h, d, kept = valid_pairs(labels, differences)
    if clusters is not None:
        names = list(clusters)
        if len(names) != len(np.asarray(labels)):
            raise ValueError(f"clusters must name one cluster per pair: {len(np.asarray(labels))}, found {len(names)}.")
        clusters = [names[i] for i in kept]
    cluster = cluster_index(clusters, len(h))
    groups = int(cluster.max()) + 1 if len(cluster) else 0
    if folds < 2 or groups < folds:
        raise ValueError(
            f"{folds} folds need at least 2 folds and as many {'clusters' if clusters is not None else 'valid pairs'}; "
            f"found {groups}."
        )
    sweep = _Sweep(h, d)
    cluster = cluster[sweep.order]
    rng = np.random.default_rng(seed)
    fit = _CrossFit(sweep, cluster, folds)
    fit.draw(np.ones(len(h)))
    runs = [fit.split(rng) for _ in range(repeats)]
    replicates = []
    for weights in resampled_weights(cluster, resamples, rng):
        fit.draw(weights)
        replicates.append(np.mean([fit.split(rng)[0] for _ in range(SPLITS_PER_RESAMPLE)]))
    accuracy, threshold = (float(np.mean(column)) for column in zip(*runs, strict=True))
    interval = never_without_width(percentile_interval(replicates, confidence), accuracy, groups)
    return HeldOutTies(accuracy, interval, threshold, len(h), folds, repeats)
