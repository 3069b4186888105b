"""Win rates and their intervals."""

import math

import numpy as np
import pytest

from videoalign.reward.judge import Dimension
from videoalign.reward.win_rates import LEAST_INDEPENDENT, win_rate, win_rates


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


def test_few_pairs_are_no_verdict_however_they_fell():
    """Five coins on one side happen by luck in 2 / 2**5 = 6 % of cases, six in 3 %."""
    assert 2 / 2**LEAST_INDEPENDENT < 0.05 < 2 / 2 ** (LEAST_INDEPENDENT - 1)
    for count, verdict in ((1, 0), (5, 0), (6, 1)):
        found = win_rate([0.0] * count, [1.0] * count, [str(number) for number in range(count)])
        assert (found.rate, found.verdict, found.enough) == (1.0, verdict, bool(verdict))
        assert found.in_words == ("better" if verdict else "too few to tell")


def test_of_few_pairs_the_sign_test_must_agree():
    """Seven or eight of eight coins on one side: 2 * 9 / 2**8 = 7 % and 2 / 2**8 = 0.8 %."""
    seven, eight = (win_rate([0.0] * 8, [1.0] * won + [-1.0] * (8 - won), range(8)) for won in (7, 8))
    assert (seven.by_luck, eight.by_luck) == (18 / 256, 2 / 256)
    assert seven.low > 0.5 and (seven.verdict, seven.in_words) == (0, "too few to tell") and eight.verdict == 1
    many = win_rate([0.0] * 40, [1.0] * 28 + [-1.0] * 12, range(40))
    assert many.verdict == 1 and many.low > 0.5
    ties = win_rate([0.0] * 8, [1.0] * 6 + [0.0] * 2, range(8))
    assert ties.by_luck == 2 / 64 and ties.verdict == 1


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (1, 0), (700, 700), (801, 600), (1400, 1), (1401, 0)])
def test_the_sign_test_of_many_is_the_sum_of_all_that_are_as_uneven(won, lost):
    """Terms are left out where they cannot change a double: two roundings, so 4.5e-16 relative."""
    found = win_rate([0.0] * (won + lost + 1), [1.0] * won + [-1.0] * lost + [0.0], range(won + lost + 1))
    count = won + lost
    exact = sum(math.comb(count, number) for number in range(max(won, lost), count + 1))
    assert found.by_luck == pytest.approx(min(1.0, 2 * exact / 2**count), rel=4.5e-16)


def test_the_sign_test_of_a_hundred_thousand_prompts_is_the_normal_one():
    """Normal with a correction for whole numbers; it errs by about 1/count in the middle of the distribution."""
    won, count = 50_300, 100_000
    leads = np.where(np.arange(count) < won, 1.0, -1.0)
    found = win_rate(np.zeros(count), leads, range(count))
    z = (won - 0.5 - count / 2) / math.sqrt(count / 4)
    assert found.by_luck == pytest.approx(math.erfc(z / math.sqrt(2)), abs=1e-5)


def test_pairs_of_few_prompts_are_few_and_of_a_single_one_speak_for_that_one():
    two = win_rate([0.0] * 40, [1.0] * 40, ["a"] * 20 + ["b"] * 20)
    assert (two.independent, two.verdict, two.pairs) == (2, 0, 40)
    one = win_rate([0.0] * 8, [1, 1, 1, -1, 1, 1, 1, -1], ["a"] * 8)
    assert one.independent == 8 and one.low < one.rate < one.high


def test_many_equal_pairs_are_about_equal_and_not_too_few():
    assert win_rate([0.0] * 8, [0.0] * 8, range(8)).in_words == "about equal"
    lead = np.tile([1.0, -1.0], 500)
    assert win_rate(np.zeros(1000), lead, range(1000)).in_words == "about equal"
    assert win_rate([0.0] * 8, [1.0] * 4 + [-1.0] * 4, range(8)).in_words == "too few to tell"


def test_only_pairs_with_both_marks_count_and_less_may_be_better():
    dimensions = [
        Dimension("VQ", "quality", "x"),
        Dimension("N", "noise", "x", higher_is_better=False),
        Dimension("TA", "text", "x"),
    ]
    base = [{"VQ": 0.0, "N": 1.0, "TA": None}, {"VQ": 0.0, "N": 1.0, "TA": None}, {"VQ": None, "N": 1.0}]
    candidate = [{"VQ": 1.0, "N": 0.0, "TA": 1.0}, {"VQ": 0.001, "N": 0.0, "TA": 1.0}, {"VQ": 1.0, "N": 3.0}]
    found = win_rates(dimensions, base, candidate, ["a", "b", "c"])
    assert list(found) == ["VQ", "N"]
    assert (found["VQ"].wins, found["VQ"].ties, found["VQ"].losses) == (1, 1, 0)  # 0.001 is shown as 0.00
    assert (found["N"].wins, found["N"].losses) == (2, 1) and found["N"].lead == 0.0
