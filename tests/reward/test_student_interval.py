"""Student's interval against printed tables, its own density integrated, and how often it holds the truth."""

import math

import numpy as np
import pytest

from videoalign.reward.student_interval import prompt_means, share_interval, student_mean, student_quantile

# Two-sided 95 % and 99 %, as printed in any table of t (three digits).
TABLE = {1: (12.706, 63.657), 2: (4.303, 9.925), 3: (3.182, 5.841), 4: (2.776, 4.604), 5: (2.571, 4.032), 9: (2.262, 3.250),
         10: (2.228, 3.169), 19: (2.093, 2.861), 30: (2.042, 2.750), 60: (2.000, 2.660), 120: (1.980, 2.617)}  # fmt: skip


@pytest.mark.parametrize("freedom", TABLE)
def test_quantiles_are_those_of_the_printed_table(freedom):
    for confidence, printed in zip((0.95, 0.99), TABLE[freedom], strict=True):
        assert student_quantile(confidence, freedom) == pytest.approx(printed, abs=5.1e-4)


@pytest.mark.parametrize("freedom", [1, 2, 3, 6, 7, 40, 41])
@pytest.mark.parametrize("confidence", [0.3, 0.95, 0.9971])
def test_the_density_between_the_quantiles_is_the_confidence(freedom, confidence):
    edge = student_quantile(confidence, freedom)
    at = np.linspace(-edge, edge, 200_001)
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)
    density = scale * (1 + at**2 / freedom) ** (-(freedom + 1) / 2)
    # The trapezoidal rule: its error is the width squared over 12, times the change of slope, below 1e-5 here.
    area = (density[1:] + density[:-1]).sum() / 2 * (at[1] - at[0])
    assert area == pytest.approx(confidence, abs=1e-5)


def test_many_values_have_the_normal_quantile():
    assert student_quantile(0.95, 100_000) == pytest.approx(1.959964 * (1 + (1.96**2 + 1) / 4e5), abs=1e-6)


@pytest.mark.parametrize("count", [2, 3, 6, 25])
def test_the_interval_holds_the_truth_as_often_as_it_says(count):
    rng = np.random.default_rng(count)
    samples = rng.normal(3.0, 2.0, (2000, count))
    held = sum(one.low <= 3.0 <= one.high for one in map(student_mean, samples))
    assert abs(held / 2000 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 2000)  # four standard errors


def test_one_value_tells_nothing_of_its_spread_and_none_is_an_error():
    assert (student_mean([7.0]).low, student_mean([7.0]).high) == (-math.inf, math.inf)
    assert (student_mean([7.0, 7.0]).low, student_mean([7.0, 7.0]).high) == (7, 7)
    with pytest.raises(ValueError, match="no value"):
        student_mean([])


def test_prompts_count_once_whatever_their_seeds():
    assert prompt_means([1, 3, 5, 10], ["b", "b", "b", "a"]).tolist() == [3.0, 10.0]


def test_an_interval_of_a_share_has_a_width_and_holds_what_was_seen():
    for won, count in ((0, 1), (1, 1), (2, 2), (6, 6), (3, 7), (30, 30)):
        found = share_interval([1.0] * won + [0.0] * (count - won))
        assert 0 <= found.low <= won / count <= found.high <= 1 and found.high - found.low > 0.05
    with pytest.raises(ValueError, match="0 shares"):
        share_interval([])


@pytest.mark.parametrize(("count", "least"), [(2, 0.82), (6, 0.9), (15, 0.93), (60, 0.94)])
def test_an_interval_of_a_share_holds_the_truth_as_often_as_it_says(count, least):
    """Summed over all outcomes of the binomial: 95 % on average, less at the edges (Agresti and Coull's figure 5)."""
    intervals = [share_interval([1.0] * won + [0.0] * (count - won)) for won in range(count + 1)]
    held = []
    for truth in np.linspace(0.01, 0.99, 99):
        inside = [one.low <= truth <= one.high for one in intervals]
        chance = [math.comb(count, won) * truth**won * (1 - truth) ** (count - won) for won in range(count + 1)]
        held.append(sum(share for share, there in zip(chance, inside, strict=True) if there))
    assert min(held) > least and np.mean(held) > 0.95
