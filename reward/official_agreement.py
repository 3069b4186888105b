"""The official VideoAlign accuracies, number for number, so that published tables can be compared with.

They reproduce KwaiVGI/VideoAlign 219ab9d (`calc_accuracy.py` and the trainer's evaluation) including what is wrong with
them; `agreement` and `tie_calibration` hold the measures to report. What differs:

- with ties: the threshold is moved pair by pair, also inside a group of pairs whose |difference| is equal, so with
  repeated values the result depends on the order of the rows and is too high for a lucky order; "no predicted tie" is
  never tried (a perfect model without human ties gets (n - 1) / n); invalid rows stay in the denominator.
- without ties: equal scores of a decided pair count as wrong, invalid rows count as decided and wrong.
- multi-attribute: invalid labels (22) count as decided and wrong, and equal rewards as "A is better".

Labels are 1 (A better), -1 (B better), 0 (tie); an invalid one is NaN, as the official evaluation script makes of any
other text (22 only in `official_multi_attribute_accuracy`, as in the trainer).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def _columns(labels: ArrayLike, differences: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    h, m = np.asarray(labels, dtype=np.float64), np.asarray(differences, dtype=np.float64)
    if h.ndim != 1 or h.shape != m.shape:
        raise ValueError(f"labels and differences must be two lists of one length; found {h.shape} and {m.shape}.")
    return h, m


def official_counts(
    labels: ArrayLike, differences: ArrayLike, threshold: float = -1.0
) -> tuple[int, int, int, int, int]:
    """Counts (right, wrong, tie only by people, tie only by model, tie by both) of n pairs.

    The model calls |difference| <= threshold a tie: -1, the default, means never. Right needs the same sign; a NaN
    label or difference is wrong, or a person's tie if the label is 0.
    """
    h, m = _columns(labels, differences)
    human, model = h == 0, np.abs(m) <= threshold
    decided = ~human & ~model
    right = decided & (h * np.where(decided, m, 0.0) > 0)
    return (
        int(right.sum()),
        int((decided & ~right).sum()),
        int((human & ~model).sum()),
        int((~human & model).sum()),
        int((human & model).sum()),
    )


def official_accuracy_with_ties(labels: ArrayLike, differences: ArrayLike) -> float:
    """The official ties-included accuracy of n pairs in this row order (w/ Ties of the paper's Table 2). O(n log n).

    -inf for no pairs, as recorded.
    """
    h, m = _columns(labels, differences)
    if not len(h):
        return float("-inf")
    magnitude = np.abs(m)
    if np.isnan(magnitude).any():
        # Where NaN ends up depends on the sorting algorithm: take Python's, on which the official number rests.
        order = np.array(sorted(range(len(m)), key=magnitude.__getitem__))
    else:
        order = np.argsort(magnitude, kind="stable")
    h, m = h[order], m[order]
    tie = h == 0
    right = ~tie & (h * np.where(tie, 0.0, m) > 0)
    # Pair by pair, what is won (a human tie that becomes a predicted tie) and lost (a right pair that becomes one).
    gain = np.where(np.isnan(m), 0, tie.astype(np.int64) - right.astype(np.int64))
    return int((right.sum() + np.cumsum(gain)).max()) / len(h)


def official_accuracy_without_ties(labels: ArrayLike, differences: ArrayLike) -> float:
    """The official ties-excluded accuracy (w/o Ties of the paper's Table 2).

    Raises ZeroDivisionError, as the official function does, if no pair is decided.
    """
    right, wrong, _, model_tie, _ = official_counts(labels, differences)
    if right + wrong + model_tie == 0:
        raise ZeroDivisionError(
            "no pair has a winner (all labels are ties, or there are none): the ties-excluded accuracy does not exist."
        )
    return right / (right + wrong + model_tie)


def official_multi_attribute_accuracy(
    predictions: ArrayLike, labels: ArrayLike, dimensions: Sequence[str]
) -> dict[str, float]:
    """The metrics of the official trainer's evaluation: per dimension the accuracy and the mean reward of each side.

    `predictions` [N, 2, D] are raw rewards of A and B, `labels` [N, D] have 22 for invalid. Keys: accuracy_VQ,
    rewards_chosen_avg_VQ, rewards_rejected_avg_VQ and so on; NaN for a dimension without a label other than a tie.
    """
    rewards, codes = np.asarray(predictions, dtype=np.float64), np.asarray(labels)
    if rewards.ndim != 3 or rewards.shape[1] != 2 or codes.shape != (rewards.shape[0], rewards.shape[2]):
        raise ValueError(
            f"predictions must be [pairs, 2, dimensions] and labels [pairs, dimensions]; "
            f"found {rewards.shape} and {codes.shape}."
        )
    metrics: dict[str, float] = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        for index, dimension in enumerate(dimensions):
            a, b, code = rewards[:, 0, index], rewards[:, 1, index], codes[:, index]
            counted = code != 0
            predicted = np.where(rewards[:, :, index].argmax(axis=1) == 0, 1, -1)
            for name, values in (
                (f"accuracy_{dimension}", (predicted == code).astype(np.float64)),
                (f"rewards_chosen_avg_{dimension}", np.where(code == 1, a, b)),
                (f"rewards_rejected_avg_{dimension}", np.where(code == -1, a, b)),
            ):
                metrics[name] = float(np.sum(values * counted) / np.sum(counted))
    return metrics
