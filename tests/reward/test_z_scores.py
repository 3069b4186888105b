"""Weighted sums of z-scores and best shares, against NumPy and by hand."""

import numpy as np
import pytest

from videoalign.reward.z_scores import best_share, weighted_z, weighted_z_within, z_scores


def test_z_scores_are_numpys_and_equal_values_give_zeros():
    values = [1.0, 4.0, 2.5, -3.0]
    expected = (np.array(values) - np.mean(values)) / np.std(values)
    np.testing.assert_allclose(z_scores(values), expected, rtol=1e-14)  # four terms: a few units of roundoff
    assert z_scores([0.1] * 3) == [0.0] * 3  # whose mean in binary is not 0.1
    assert z_scores([0.1 + 0.2, 0.3]) == [0.0] * 2  # which differ in the last bit
    assert z_scores([]) == []


def test_a_weighted_sum_does_not_depend_on_units_and_a_negative_weight_prefers_small_values():
    rows = [{"a": 1.0, "b": 300.0}, {"a": 2.0, "b": 100.0}, {"a": 6.0, "b": 200.0}]
    scaled = [{"a": 1000 * row["a"] + 7, "b": row["b"]} for row in rows]
    weights = {"a": 1.0, "b": -0.5}
    np.testing.assert_allclose(weighted_z(rows, weights), weighted_z(scaled, weights), rtol=1e-12)
    assert np.argmax(weighted_z(rows, {"b": -1.0})) == 1


def test_within_groups_each_has_its_own_mean():
    rows = [{"a": value} for value in (1.0, 10.0, 3.0, 30.0)]
    assert weighted_z_within(rows, {"a": 1.0}, ["x", "y", "x", "y"]) == [-1.0, -1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("share", "members", "expected"), [(0.3, 5, 2), (0.3, 4, 1), (0.1, 3, 1), (1, 3, 3), (0.5, 3, 2), (0.35, 10, 4)]
)
def test_a_share_is_rounded_half_up_and_one_at_least(share, members, expected):
    totals = [float(number) for number in range(members)]
    assert best_share(totals, share, [None] * members) == set(range(members - expected, members))


def test_equal_ones_are_taken_in_their_order_in_every_group():
    assert best_share([1.0, 1.0, 1.0, 1.0], 0.5, ["x", "y", "x", "y"]) == {0, 1}
