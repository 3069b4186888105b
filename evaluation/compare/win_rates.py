"""How often one set of clips beats the other, with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...reward.bootstrap import bootstrap_mean


@dataclass(frozen=True)
class WinRate:
    """The candidate against the base in one dimension, by one judge.

    Attributes:
        rate: share of the pairs that the candidate wins, a tie counting half (0 to 1).
        low, high: interval of the rate, a bootstrap over prompts.
        wins, ties, losses: numbers of pairs.
        lead: mean of candidate minus base, in the judge's unit.
        lead_low, lead_high: its interval.
    """

    rate: float
    low: float
    high: float
    wins: int
    ties: int
    losses: int
    lead: float
    lead_low: float
    lead_high: float

    @property
    def verdict(self) -> int:
        """1: the candidate is better, -1: worse, 0: the interval holds one half."""
        return int(self.low > 0.5) - int(self.high < 0.5)


def win_rate(
    base: Sequence[float],
    candidate: Sequence[float],
    prompts: Sequence[str],
    *,
    tie: float = 0.0,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> WinRate:
    """Compare scores of clips that share prompt and seed.

    Args:
        base, candidate: one score a pair, higher is better.
        prompts: of each pair; pairs of a prompt are drawn together in the bootstrap.
        tie: differences up to this count as a tie, in the scores' unit.

    Raises:
        ValueError: no pair, different lengths, or a score that is not finite.
    """
    first, second = np.asarray(base, float), np.asarray(candidate, float)
    if not len(first) or len(first) != len(second) or len(first) != len(prompts):
        raise ValueError(
            f"{len(first)} base, {len(second)} candidate scores, {len(prompts)} prompts; expected as many."
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("a score is not finite; score the clips again.")
    lead = second - first
    won = np.where(np.abs(lead) <= tie, 0.5, lead > 0)
    options = {"confidence": confidence, "resamples": resamples, "seed": seed}
    rate, mean = bootstrap_mean(won, list(prompts), **options), bootstrap_mean(lead, list(prompts), **options)
    return WinRate(
        float(won.mean()),
        rate.low,
        rate.high,
        int((won == 1).sum()),
        int((won == 0.5).sum()),
        int((won == 0).sum()),
        float(lead.mean()),
        mean.low,
        mean.high,
    )
