"""Losses that turn pairwise preferences into a reward model: Bradley-Terry, with and without ties, and regression.

Every function takes the rewards of the two clips of a pair, `rewards_a` and `rewards_b`, both [B, D] in the reward's
raw unit (B pairs, D dimensions, usually VQ, MQ, TA), and integer `labels` [B, D] with the codes of VideoAlign's data:

    1 = A is better    -1 = B is better    0 = tie    22 = invalid (nobody judged this dimension)

Source of the formulas: "Improving Video Generation with Human Feedback" (arXiv 2501.13918), Eq. 1 and 2. The defaults
reproduce the official VideoAlign trainer (KwaiVGI/VideoAlign 219ab9d), whose recorded numbers are in the tests: masked
entries contribute 0 and still count in the mean. Where that is questionable, the alternative is an argument of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

A_BETTER, B_BETTER, TIE, INVALID = 1, -1, 0, 22

TIE_FACTOR = 5.0
"""k (theta) of Bradley-Terry with ties: a clip that leads by log k, 1.61 raw reward units, wins half of the time."""

CONSTANT_MARGIN = 0.57
"""Reward difference that `constant_margin_loss` asks for; the value of the official trainer."""

LIKERT_CENTRE = 3.0
"""Middle of the 1..5 Likert scale: the regression target is score - 3, so that 0 is an average clip."""

REDUCTIONS = ("mean", "mean_used", "sum", "none")
MARGIN_RULES = ("official", "agreeing")


def _check(rewards_a: Tensor, rewards_b: Tensor, labels: Tensor | None) -> None:
    if rewards_a.shape != rewards_b.shape or rewards_a.ndim != 2:
        raise ValueError(
            f"rewards of A and B must both be [pairs, dimensions]; found {tuple(rewards_a.shape)} "
            f"and {tuple(rewards_b.shape)}."
        )
    if labels is None:
        return
    if labels.shape != rewards_a.shape:
        raise ValueError(
            f"labels must have the rewards' shape {tuple(rewards_a.shape)}; found {tuple(labels.shape)}. "
            "Give one label per pair and dimension."
        )
    known = (labels == A_BETTER) | (labels == B_BETTER) | (labels == TIE) | (labels == INVALID)
    if not bool(known.all()):
        pair, dimension = (~known).nonzero()[0].tolist()
        raise ValueError(
            f"label {labels[pair, dimension].item()} of pair {pair}, dimension {dimension} is not one of "
            "1 (A), -1 (B), 0 (tie), 22 (invalid)."
        )


def _reduce(losses: Tensor, used: Tensor, reduction: str, weights: Tensor | None) -> Tensor:
    """Zero the entries that are not `used`, weigh, and reduce in float32 (float64 stays float64)."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction {reduction!r} is unknown; choose one of {', '.join(REDUCTIONS)}.")
    # torch.where, not a product with the mask: inf * 0 is NaN, and an invalid label must hide whatever is under it.
    losses = torch.where(used, losses, torch.zeros((), dtype=losses.dtype, device=losses.device))
    if losses.dtype in (torch.float16, torch.bfloat16):
        losses = losses.float()
    share = used.to(losses.dtype)
    if weights is not None:
        weights = weights.to(losses.dtype)
        if weights.ndim == 1:
            weights = weights[:, None]
        losses, share = losses * weights, share * weights
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    if reduction == "mean":
        return losses.mean()
    # Without a used entry the sum is 0 as well: 0 / 1 keeps the loss at 0 and the graph alive.
    total = share.sum()
    return losses.sum() / torch.where(total > 0, total, torch.ones_like(total))


def _winner_minus_loser(rewards_a: Tensor, rewards_b: Tensor, labels: Tensor, used: Tensor, upcast: bool) -> Tensor:
    """Reward of the preferred clip minus the other's, [B, D]; A - B for ties, 0 (also for NaN) where not `used`."""
    if upcast and rewards_a.dtype in (torch.float16, torch.bfloat16):
        rewards_a, rewards_b = rewards_a.float(), rewards_b.float()
    difference = rewards_a - rewards_b
    # Masked here and not only in the loss: the gradient of logsigmoid at NaN is NaN even when multiplied by 0.
    difference = torch.where(used, difference, torch.zeros_like(difference))
    return torch.where(labels == B_BETTER, -difference, difference)


def btt_log_probabilities(difference: Tensor, k: float = TIE_FACTOR) -> tuple[Tensor, Tensor, Tensor]:
    """log P(A wins), log P(B wins), log P(tie) of Bradley-Terry with ties, each of `difference`'s shape.

    Paper, Eq. 1 (Rao and Kupper's model), with d = r_A - r_B:

        P(A) = sigmoid(d - log k),  P(B) = sigmoid(-d - log k),  P(tie) = (k^2 - 1) P(A) P(B)

    Computed from logsigmoid throughout, so that a difference of thousands gives its finite logarithm; forming
    P(A) P(B) first underflows to log 0 = -inf in float32 beyond |d| of about 100. k > 1; at k = 1 ties cannot happen.
    """
    if k <= 1:
        raise ValueError(f"k must be above 1 (found {k}); with k = 1 a tie has probability 0: use bradley_terry_loss.")
    log_k = math.log(k)
    log_a = F.logsigmoid(difference - log_k)
    log_b = F.logsigmoid(-difference - log_k)
    return log_a, log_b, log_a + log_b + math.log(k * k - 1)


def bradley_terry_with_ties_loss(
    rewards_a: Tensor,
    rewards_b: Tensor,
    labels: Tensor,
    *,
    k: float = TIE_FACTOR,
    reduction: str = "mean",
    weights: Tensor | None = None,
    upcast: bool = True,
) -> Tensor:
    """-log P(label) of Bradley-Terry with ties (paper, Eq. 2): VideoReward's training loss, "btt".

    `reduction`: "mean" divides by B x D, invalid entries included (official); "mean_used" by the number (with
    `weights`, [B] or [B, D], the summed weight) of entries that contribute, so that the step size does not depend on
    how many labels of a batch happen to be invalid; "sum" and "none" ([B, D]) leave the division to the caller.
    `upcast=False` subtracts in the rewards' own bfloat16 or float16, as the official trainer does.
    """
    _check(rewards_a, rewards_b, labels)
    used = labels != INVALID
    d = _winner_minus_loser(rewards_a, rewards_b, labels, used, upcast)
    log_winner, _, log_tie = btt_log_probabilities(d, k)
    return _reduce(-torch.where(labels == TIE, log_tie, log_winner), used, reduction, weights)


def bradley_terry_loss(
    rewards_a: Tensor,
    rewards_b: Tensor,
    labels: Tensor,
    *,
    margin: Tensor | float = 0.0,
    reduction: str = "mean",
    weights: Tensor | None = None,
    upcast: bool = True,
) -> Tensor:
    """-logsigmoid(winner - loser - margin) on the pairs with a winner: plain Bradley-Terry, "bt".

    Ties and invalid labels contribute 0. `margin` (raw reward units, number or [B, D]) is what the winner must lead by.
    `reduction`, `weights`, `upcast`: see `bradley_terry_with_ties_loss`; "mean_used" divides by the untied pairs.
    """
    _check(rewards_a, rewards_b, labels)
    used = (labels != TIE) & (labels != INVALID)
    d = _winner_minus_loser(rewards_a, rewards_b, labels, used, upcast) - margin
    return _reduce(-F.logsigmoid(d), used, reduction, weights)


def constant_margin_loss(
    rewards_a: Tensor, rewards_b: Tensor, labels: Tensor, *, margin: float = CONSTANT_MARGIN, **options
) -> Tensor:
    """Bradley-Terry in which every winner must lead by `margin` raw reward units, "constant_margin"."""
    return bradley_terry_loss(rewards_a, rewards_b, labels, margin=margin, **options)


def score_margin(scores_a: Tensor, scores_b: Tensor, labels: Tensor, rule: str = "official") -> tuple[Tensor, Tensor]:
    """How far people's Likert scores (1..5, 0 or NaN where nobody scored) put the winner ahead.

    Returns the margin [B, D] and a mask of the entries whose two scores are there.

    rule "official": score of the winner - score of the loser, taken as it is. Two things are wrong with that. A missing
    score counts as 0, so one missing score looks like a lead of up to 5; and where the scores contradict the label the
    margin is negative, which the scaled loss turns into a reward, without bound, for ranking the pair the wrong way.
    rule "agreeing": max(0, that), and 0 where either score is missing.
    """
    if rule not in MARGIN_RULES:
        raise ValueError(f"margin rule {rule!r} is unknown; choose one of {', '.join(MARGIN_RULES)}.")
    present = (scores_a != 0) & (scores_b != 0) & ~scores_a.isnan() & ~scores_b.isnan()
    difference = scores_a - scores_b
    margin = torch.where(labels == B_BETTER, -difference, difference)
    if rule == "agreeing":
        margin = torch.where(present, margin.clamp(min=0), torch.zeros_like(margin))
    return margin, present


def margin_loss(
    rewards_a: Tensor,
    rewards_b: Tensor,
    labels: Tensor,
    scores_a: Tensor,
    scores_b: Tensor,
    *,
    margin_rule: str = "official",
    **options,
) -> Tensor:
    """Bradley-Terry in which the winner must lead by its lead in Likert scores [B, D], "margin".

    With margin_rule "agreeing" (see `score_margin`) a pair without scores falls back to plain Bradley-Terry.
    """
    margin, _ = score_margin(scores_a, scores_b, labels, margin_rule)
    return bradley_terry_loss(rewards_a, rewards_b, labels, margin=margin, **options)


def scaled_loss(
    rewards_a: Tensor,
    rewards_b: Tensor,
    labels: Tensor,
    scores_a: Tensor,
    scores_b: Tensor,
    *,
    margin_rule: str = "official",
    reduction: str = "mean",
    weights: Tensor | None = None,
    upcast: bool = True,
) -> Tensor:
    """Bradley-Terry times the lead in Likert scores [B, D], "scaled": clear preferences weigh more.

    margin_rule "official" is unbounded below where scores contradict labels; with "agreeing" (see `score_margin`) the
    loss is never negative, and pairs without both scores have weight 1 instead of none.
    """
    _check(rewards_a, rewards_b, labels)
    margin, present = score_margin(scores_a, scores_b, labels, margin_rule)
    if margin_rule == "agreeing":
        margin = torch.where(present, margin, torch.ones_like(margin))
    losses = bradley_terry_loss(rewards_a, rewards_b, labels, reduction="none", upcast=upcast)
    return _reduce(margin * losses, (labels != TIE) & (labels != INVALID), reduction, weights)


def regression_loss(
    rewards_a: Tensor,
    rewards_b: Tensor,
    scores_a: Tensor,
    scores_b: Tensor,
    *,
    reduction: str = "mean",
    weights: Tensor | None = None,
) -> Tensor:
    """Half the sum of A's and B's squared distance to (Likert score - 3), "reg"; labels play no part.

    Scores [B, D] are 1..5; 0 or NaN means nobody scored and contributes 0. "mean" divides by B x D (official),
    "mean_used" by half the number of scores that are there (a complete pair has two). Always in float32 or better: the
    official trainer fails on bfloat16 rewards here, since its targets are float32. "none" returns [B, D].
    """
    _check(rewards_a, rewards_b, None)
    sides = []
    for rewards, scores in ((rewards_a, scores_a), (rewards_b, scores_b)):
        present = (scores != 0) & ~scores.isnan()
        if rewards.dtype in (torch.float16, torch.bfloat16):
            rewards = rewards.float()
        error = rewards - (scores.nan_to_num() - LIKERT_CENTRE).to(rewards.dtype)
        sides.append((0.5 * torch.where(present, error, torch.zeros_like(error)).square(), present))
    if reduction != "mean_used":
        (loss_a, present_a), (loss_b, present_b) = sides
        return _reduce(loss_a, present_a, reduction, weights) + _reduce(loss_b, present_b, reduction, weights)
    both = torch.cat([loss for loss, _ in sides]), torch.cat([present for _, present in sides])
    doubled = None if weights is None else torch.cat([weights, weights])
    return 2 * _reduce(*both, "mean_used", doubled)


LOSSES: dict[str, Callable[..., Tensor]] = {
    "btt": bradley_terry_with_ties_loss,
    "bt": bradley_terry_loss,
    "margin": margin_loss,
    "constant_margin": constant_margin_loss,
    "scaled": scaled_loss,
    "reg": regression_loss,
}
"""The losses by the names that the official trainer's `loss_type` gives them."""


def preference_loss(
    loss_type: str,
    rewards_a: Tensor,
    rewards_b: Tensor,
    labels: Tensor,
    scores_a: Tensor | None = None,
    scores_b: Tensor | None = None,
    **options,
) -> Tensor:
    """The loss named `loss_type` (a key of `LOSSES`); `options` are that loss's keyword arguments.

    Raises ValueError for an unknown name, and where a loss needs the Likert scores [B, D] and got none.
    """
    if loss_type not in LOSSES:
        raise ValueError(f"loss type {loss_type!r} is unknown; choose one of {', '.join(LOSSES)}.")
    if loss_type in ("margin", "scaled", "reg"):
        if scores_a is None or scores_b is None:
            raise ValueError(
                f"loss type {loss_type!r} needs people's scores of both clips (MOS_A_*, MOS_B_* columns, or "
                "scores_chosen and scores_rejected); none were given. Use btt or bt with labels alone."
            )
        if loss_type == "reg":
            return regression_loss(rewards_a, rewards_b, scores_a, scores_b, **options)
        return LOSSES[loss_type](rewards_a, rewards_b, labels, scores_a, scores_b, **options)
    return LOSSES[loss_type](rewards_a, rewards_b, labels, **options)
