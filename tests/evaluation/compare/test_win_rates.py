"""Win rates and their intervals."""

import numpy as np
import pytest

from videoalign.evaluation.compare.win_rates import win_rate


def test_a_tie_counts_half():
    found = win_rate([0, 0, 0, 0], [1, 1, 0, -1], list("abcd"))
    assert (found.wins, found.ties, found.losses) == (2, 1, 1) and found.rate == 0.625 and found.lead == 0.25
    assert win_rate([0.0] * 4, [1, 1, 0.4, -0.4], list("abcd"), tie=0.5).ties == 2


def test_the_interval_is_that_of_a_binomial_share():
    rng = np.random.default_rng(0)
    won = rng.random(400) < 0.7
    found = win_rate(np.zeros(400), np.where(won, 1, -1), [str(i) for i in range(400)])
    share, z, n = won.mean(), 1.959964, 400  # Wilson's interval
    middle, half = share + z * z / (2 * n), z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    assert found.low == pytest.approx((middle - half) / (1 + z * z / n), abs=0.01)
    assert found.high == pytest.approx((middle + half) / (1 + z * z / n), abs=0.01)
    assert found.verdict == 1


def test_clips_of_one_prompt_are_not_counted_as_independent():
    lead = np.repeat([1, -1, 1, 1, -1, 1, 1, -1, 1, 1], 40)
    prompts = np.repeat(np.arange(10), 40).tolist()
    together = win_rate(np.zeros(400), lead, prompts)
    alone = win_rate(np.zeros(400), lead, range(400))
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        win_rate([0.0], [float("nan")], ["a"])
    with pytest.raises(ValueError, match="2 base, 1 candidate"):
        win_rate([0.0, 1.0], [1.0], ["a"])
