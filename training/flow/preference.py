"""Flow-DPO's logit and what tells a user whether preferences are being learnt; for training and for held-out pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def preference_logit(
    winner: Tensor, winner_reference: Tensor, loser: Tensor, loser_reference: Tensor, beta: Tensor | float
) -> Tensor:
    """logit = -(beta / 2) [(e_theta(w) - e_ref(w)) - (e_theta(l) - e_ref(l))] of each pair [B] (paper, Eq. 6)."""
    return -(beta / 2) * ((winner - winner_reference) - (loser - loser_reference))


def preference_loss(logit: Tensor, target: Tensor) -> Tensor:
    """Cross entropy of sigmoid(logit) with the probability ``target`` that the winner is better; 1: -logsigmoid(logit)."""
    from torch.nn.functional import logsigmoid

    return -(target * logsigmoid(logit) + (1 - target) * logsigmoid(-logit))


def preference_measures(
    logit: Tensor, target: Tensor, winner: Tensor, winner_reference: Tensor, loser: Tensor, loser_reference: Tensor
) -> dict[str, Tensor]:
    """Name -> [B], NaN for ties where only a preference has a meaning.

    accuracy: 1 where the pair is ranked right against the reference, 0.5 where it says nothing; margin: the logit; push:
    sigmoid(-logit), how strongly the pair still pulls; winner_error, loser_error: e_theta - e_ref of each side;
    reference_error: e_ref of the winner, to compare them with.
    """
    import torch

    logit = logit.detach()
    accuracy = (torch.sign(logit) + 1) / 2
    untied = target != 0.5
    return {
        "accuracy": torch.where(untied, accuracy, torch.nan),
        "margin": torch.where(untied, logit, torch.nan),
        "push": torch.where(untied, torch.sigmoid(-logit), torch.nan),
        "winner_error": (winner - winner_reference).detach(),
        "loser_error": (loser - loser_reference).detach(),
        "reference_error": winner_reference.detach(),
    }
