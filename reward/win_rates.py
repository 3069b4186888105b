"""How often one set of clips beats the other, with confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .judge import Dimension
from .student_interval import prompt_means, share_interval, student_mean

# Fewer coins than six cannot all fall on one side with a chance below 5 % (two-sided: 2 / 2**6 = 3 %).
LEAST_INDEPENDENT = 6
# Of fewer prompts than these the exact sign test must agree with the intervals, which are approximate.
_FEW = 30
# Half of the last digit that is shown: a smaller difference is shown as 0.00, and is a tie.
SHOWN_AS_EQUAL = 0.005
_NEAR_HALF = 0.1


@dataclass(frozen=True)
class WinRate:
    """The candidate against the base in one dimension, by one judge.

    Attributes:
        rate: share of the pairs that the candidate wins, a tie counting half (0 to 1); a mean over prompts, as the lead is.
        low, high: interval of the rate over prompts (`student_interval.share_interval`).
        wins, ties, losses: numbers of pairs.
        lead: mean of candidate minus base, in the judge's unit.
        lead_low, lead_high: its interval, Student's over prompts; infinite where there is one pair alone.
        independent: how many prompts were drawn from for the intervals; of a single prompt, how many pairs.
        by_luck: chance that as many or more of these fall on one side when both are equal: the exact sign test, two-sided.
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
    independent: int
    by_luck: float

    @property
    def pairs(self) -> int:
        """How many there are."""
        return self.wins + self.ties + self.losses

    @property
    def enough(self) -> bool:
        """Whether so many can show anything: below, even pairs that were all won may be luck."""
        return self.independent >= LEAST_INDEPENDENT

    @property
    def verdict(self) -> int:
        """1: the candidate is better, -1: worse, 0: the interval holds one half, or so few may be luck."""
        if self.independent < _FEW and self.by_luck >= 0.05:
            return 0
        return int(self.low > 0.5) - int(self.high < 0.5)

    @property
    def in_words(self) -> str:
        """ "better", "worse", "about equal" (nothing but ties, or the interval is near one half) or "too few to tell"."""
        if self.verdict:
            return "better" if self.verdict > 0 else "worse"
        near = self.ties == self.pairs or (self.low >= 0.5 - _NEAR_HALF and self.high <= 0.5 + _NEAR_HALF)
        return "about equal" if self.enough and near else "too few to tell"


def win_rate(
    base: Sequence[float],
    candidate: Sequence[float],
    prompts: Sequence[str],
    *,
    tie: float = 0.0,
    confidence: float = 0.95,
) -> WinRate:
    """Compare scores of clips that share prompt and seed.

    Args:
        base, candidate: one score a pair, higher is better.
        prompts: of each pair; a prompt counts once. Where all have one prompt, each pair counts: the intervals are about
            that prompt.
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
    units = prompts if len(set(prompts)) > 1 else range(len(lead))
    shares, leads = prompt_means(won, units), prompt_means(lead, units)
    share, mean = share_interval(shares, confidence), student_mean(leads, confidence)
    return WinRate(
        float(shares.mean()),
        share.low,
        share.high,
        int((won == 1).sum()),
        int((won == 0.5).sum()),
        int((won == 0).sum()),
        float(leads.mean()),
        mean.low,
        mean.high,
        len(shares),
        _sign_test(won, units),
    )


def _sign_test(won: np.ndarray, units: Sequence) -> float:
    """Two-sided chance of a fair coin to give as uneven a count of units won and lost; units half won are left out."""
    sums: dict = {}
    for unit, share in zip(units, won, strict=True):
        sums[unit] = sums.get(unit, 0.0) + float(share) - 0.5
    up, down = sum(one > 0 for one in sums.values()), sum(one < 0 for one in sums.values())
    count, number = up + down, max(up, down)
    # Whole numbers of up to ``count`` bits: each from the one before, until all that are left cannot change a double.
    ways = tail = math.comb(count, number)
    while number < count and ways * count > tail >> 60:
        ways = ways * (count - number) // (number + 1)
        tail += ways
        number += 1
    return min(1.0, 2 * tail / 2**count)


def win_rates(
    dimensions: Sequence[Dimension],
    base: Sequence[Mapping[str, float | None]],
    candidate: Sequence[Mapping[str, float | None]],
    prompts: Sequence[str],
) -> dict[str, WinRate]:
    """By name of the dimension, over the pairs that both have its mark; what shows as equal is a tie.

    Args:
        dimensions: what was marked; one that no pair has a mark for is left out.
        base, candidate: marks of each pair, by name.
        prompts: of each pair.
    """
    rates = {}
    for one in dimensions:
        both = [
            (one.merit(first), one.merit(second), prompt)
            for first, second, prompt in zip(
                (marks.get(one.name) for marks in base),
                (marks.get(one.name) for marks in candidate),
                prompts,
                strict=True,
            )
            if first is not None and second is not None
        ]
        if both:
            rates[one.name] = win_rate(*map(list, zip(*both, strict=True)), tie=SHOWN_AS_EQUAL)
    return rates
