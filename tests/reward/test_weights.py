import math

import pytest

from videoalign.errors import VideoAlignError
from videoalign.reward.weights import RewardWeights


def test_the_default_is_the_papers_balanced_point():
    assert RewardWeights().as_given() == {"VQ": 0.1, "MQ": 0.1, "TA": 0.8}


def test_the_values_are_kept_as_given_and_normalised_on_demand():
    weights = RewardWeights.of(0.1, 0.1, 0.6)
    assert weights.as_given() == {"VQ": 0.1, "MQ": 0.1, "TA": 0.6}
    assert weights.normalised() == pytest.approx({"VQ": 0.125, "MQ": 0.125, "TA": 0.75})


@pytest.mark.parametrize("values", [(0, 0, 0), (-0.1, 1, 1), (float("nan"), 1, 1), (float("inf"), 1, 1)])
def test_weights_that_mean_nothing_are_refused(values):
    with pytest.raises(VideoAlignError):
        RewardWeights.of(*values)


def test_a_scalar_is_the_mean_by_weight_and_needs_no_score_without_weight():
    weights = RewardWeights({"sharp": 3.0, "calm": 1.0, "bright": 0.0})
    assert weights.scalar({"sharp": 1.0, "calm": -1.0}) == pytest.approx((3 - 1) / 4)
    with pytest.raises(KeyError):
        weights.scalar({"sharp": 1.0})


def test_of_chosen_dimensions_the_missing_ones_weigh_nothing_and_the_order_is_theirs():
    weights = RewardWeights({"TA": 3.0, "VQ": 1.0})
    assert list(weights.as_given(("VQ", "MQ", "TA")).items()) == [("VQ", 1.0), ("MQ", 0.0), ("TA", 3.0)]
    assert math.isclose(sum(weights.normalised(("VQ", "MQ", "TA")).values()), 1)
    with pytest.raises(VideoAlignError, match="All the weight is on TA, VQ"):
        weights.normalised(("MQ",))
