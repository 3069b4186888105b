"""How well a reward agrees with people on pairs of clips: the benchmark's accuracies, one dimension at a time.

Three measures, each in the official form (`official_agreement`) and in an exact one: ties-excluded accuracy (did the
better clip get the higher reward), ties-included accuracy (`tie_calibration`), and accuracy over several attributes.
Labels are 1 = A better, -1 = B better, 0 = tie, NaN or 22 = invalid; differences are r_A - r_B. An invalid pair is left
out of the exact measures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from .bootstrap import Interval, bootstrap_mean
from .official_agreement import official_accuracy_with_ties, official_accuracy_without_ties
from .student_interval import never_without_width
from .tie_calibration import INVALID, HeldOutTies, TieCalibration, calibrate_ties, held_out_ties, valid_pairs

LABEL_VALUES = {"A": 1.0, "B": -1.0, "same": 0.0, "invalid": float("nan")}


def label_values(labels: Iterable[str]) -> np.ndarray:
    """Labels A, B, same, invalid as 1, -1, 0, NaN: float64 [n]. Raises ValueError that names an unknown one's pair."""
    values = []
    for row, label in enumerate(labels):
        if label not in LABEL_VALUES:
            raise ValueError(f"label {label!r} of pair {row} is not one of {', '.join(LABEL_VALUES)}.")
        values.append(LABEL_VALUES[label])
    return np.array(values, dtype=np.float64)


def _ranked_right(labels: np.ndarray, differences: np.ndarray, equal_counts: float) -> np.ndarray:
    verdict = np.sign(differences) * labels
    return np.where(verdict > 0, 1.0, np.where(verdict < 0, 0.0, equal_counts))


def ties_excluded_accuracy(labels: ArrayLike, differences: ArrayLike, *, equal_counts: float = 0.5) -> float:
    """Share of the pairs with a winner whose winner has the higher reward; NaN if no pair has one.

    Two equal rewards count `equal_counts`: 0.5 is what a coin would get, so a constant reward is at chance; the
    official script counts 0.
    """
    h, d, _ = valid_pairs(labels, differences)
    decided = h != 0
    if not decided.any():
        return float("nan")
    return float(_ranked_right(h[decided], d[decided], equal_counts).mean())


def multi_attribute_accuracy(
    predictions: ArrayLike, labels: ArrayLike, dimensions: Sequence[str], *, equal_counts: float = 0.5
) -> dict[str, float]:
    """Ties-excluded accuracy per dimension and as "mean" over the dimensions that have a decided pair.

    `predictions` [N, 2, D]: rewards of A and B, any unit; `labels` [N, D]. Unlike the official trainer's evaluation,
    an invalid label (22 or NaN) is left out instead of counted as wrong.
    """
    rewards, codes = np.asarray(predictions, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if rewards.ndim != 3 or rewards.shape[1] != 2 or codes.shape != (len(rewards), len(dimensions)):
        raise ValueError(
            f"predictions must be [pairs, 2, dimensions] and labels [pairs, dimensions] for dimensions "
            f"{', '.join(dimensions)}; found {rewards.shape} and {codes.shape}."
        )
    difference = rewards[:, 0] - rewards[:, 1]
    result = {
        name: ties_excluded_accuracy(codes[:, i], difference[:, i], equal_counts=equal_counts)
        for i, name in enumerate(dimensions)
    }
    known = [value for value in result.values() if not np.isnan(value)]
    return {**result, "mean": float(np.mean(known)) if known else float("nan")}


@dataclass(frozen=True)
class Agreement:
    """Everything that a benchmark reports for one dimension. Accuracies are 0..1; None where it cannot be computed."""

    pairs: int
    """Valid pairs, ties among them included."""
    ties: int
    invalid: int
    official_with_ties: float
    official_without_ties: float | None
    without_ties: float
    without_ties_interval: Interval
    with_ties: TieCalibration
    """Threshold fitted on the pairs it is measured on: the published measure, computed exactly."""
    with_ties_held_out: HeldOutTies | None
    """Threshold fitted on the other half: what to expect on new pairs."""

    def as_dict(self) -> dict:
        """Plain dictionaries and numbers, for JSON."""
        return asdict(self)


def measure_agreement(
    labels: ArrayLike,
    differences: ArrayLike,
    clusters: Sequence | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Agreement:
    """All accuracies of one dimension over n pairs. `clusters` (one name per pair, such as its prompt) widens the
    intervals to what resampling whole prompts gives. The same seed gives the same numbers.

    The official figures are those of the official script for these rows in this order.
    """
    h, d, kept = valid_pairs(labels, differences)
    names = None if clusters is None else list(clusters)
    total = len(np.asarray(labels, dtype=np.float64))
    if names is not None and len(names) != total:
        raise ValueError(f"clusters must name one cluster per pair: {total} pairs, {len(names)} names.")
    valid_names = None if names is None else [names[i] for i in kept]
    decided = h != 0

    script_labels = np.asarray(labels, dtype=np.float64)
    script_labels = np.where(script_labels == INVALID, np.nan, script_labels)
    script_decided = bool((script_labels != 0).any())

    groups = len(h) if valid_names is None else len(set(valid_names))
    decided_names = (
        None if valid_names is None else [name for name, use in zip(valid_names, decided, strict=True) if use]
    )
    right = _ranked_right(h[decided], d[decided], 0.5)
    interval = never_without_width(
        bootstrap_mean(right, decided_names, confidence=confidence, resamples=resamples, seed=seed),
        float(right.mean()) if len(right) else float("nan"),
        len(right) if decided_names is None else len(set(decided_names)),
    )
    held_out = None
    if groups >= 2:  # with one prompt there is no other half to fit on
        held_out = held_out_ties(h, d, valid_names, confidence=confidence, resamples=resamples, seed=seed)
    return Agreement(
        pairs=len(h),
        ties=int((~decided).sum()),
        invalid=total - len(h),
        official_with_ties=official_accuracy_with_ties(script_labels, differences),
        official_without_ties=official_accuracy_without_ties(script_labels, differences) if script_decided else None,
        without_ties=ties_excluded_accuracy(h, d),
        without_ties_interval=interval,
        with_ties=calibrate_ties(h, d),
        with_ties_held_out=held_out,
    )
