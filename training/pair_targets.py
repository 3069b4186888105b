"""What pairs ask of a reward, as tensors, and how many of them it ranks right; for both trainers of rewards."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ..errors import VideoAlignError
from ..preferences.preference_file import PreferencePair, ResolvedPair
from ..reward.agreement import ties_excluded_accuracy
from ..reward.settings import DIMENSIONS


def pair_targets(pairs: Sequence[PreferencePair]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Labels [P, 3] (1 chosen better, -1 rejected better, 0 tie, 22 invalid), both sides' scores [P, 3] (0 where there is
    none) and weights [P] of P pairs, for VQ, MQ and TA."""
    return (
        torch.tensor([pair.label_codes(DIMENSIONS) for pair in pairs]),
        torch.tensor([[pair.scores_chosen.get(name, 0.0) for name in DIMENSIONS] for pair in pairs]),
        torch.tensor([[pair.scores_rejected.get(name, 0.0) for name in DIMENSIONS] for pair in pairs]),
        torch.tensor([pair.weight for pair in pairs]),
    )


def accuracy(difference: Tensor, labels: Tensor) -> dict[str, tuple[float, float]]:
    """``acc_VQ``, ``acc_MQ``, ``acc_TA``: (share of pairs with a winner that are ranked right, their number).

    Args:
        difference: [P, 3] reward of the chosen clip minus that of the rejected one. Exactly 0 counts half: a reward that
            says nothing is right half of the time.
        labels: [P, 3], see ``pair_targets``. A dimension in which no pair has a winner is left out.
    """
    labels, difference = labels.cpu(), difference.cpu().double()
    values = {}
    for column, name in enumerate(DIMENSIONS):
        decided = labels[:, column].abs() == 1
        if count := int(decided.sum()):
            lead = difference[decided, column]
            # A NaN is no verdict, and says so: the loop stops at the loss, which is NaN as well, and names the rows.
            share = math.nan if lead.isnan().any() else ties_excluded_accuracy(labels[decided, column], lead)
            values[f"acc_{name}"] = (share, float(count))
    return values


def require_winners(pairs: Iterable[ResolvedPair]) -> None:
    """Raise VideoAlignError where no pair says in any of VQ, MQ and TA which clip is better."""
    if not any(abs(code) == 1 for pair in pairs for code in pair.pair.label_codes(DIMENSIONS)):
        raise VideoAlignError(
            "No training pair says for VQ, MQ or TA which clip is better; there is nothing to learn from."
        )
