"""What pairs ask for, and how many of them are ranked right; the same for both trainers of rewards."""

import math

import pytest
import torch

from videoalign.errors import VideoAlignError
from videoalign.preferences.preference_file import PreferencePair
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.training.pair_targets import accuracy, pair_targets, require_winners


def test_equal_rewards_count_half_and_ties_and_invalid_labels_are_left_out():
    labels = torch.tensor([[1, 0, 22], [-1, 1, 22], [1, -1, 0], [1, 22, 22]])
    lead = torch.tensor([[2.0, 1.0, 1.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 1.0], [0.5, 1.0, 1.0]])
    right = {1: 1.0, 0: 0.5, -1: 0.0}
    expected = {}
    for column, name in enumerate(DIMENSIONS):
        counted = [
            right[int(math.copysign(1, d) if d else 0) * int(label)]
            for d, label in zip(lead[:, column].tolist(), labels[:, column].tolist(), strict=True)
            if label in (1, -1)
        ]
        if counted:
            expected[f"acc_{name}"] = (sum(counted) / len(counted), len(counted))
    assert accuracy(lead, labels) == expected == {"acc_VQ": (2.5 / 4, 4), "acc_MQ": (0.5, 2)}


def test_a_reward_that_is_not_a_number_has_no_accuracy():
    share, pairs = accuracy(torch.tensor([[math.nan] * 3, [1.0] * 3]), torch.ones(2, 3, dtype=int))["acc_VQ"]
    assert math.isnan(share) and pairs == 2


def test_labels_scores_and_weights_stand_in_the_order_of_the_dimensions():
    pair = PreferencePair(
        prompt="p", chosen="a", rejected="b", labels={"TA": "B", "VQ": "A"}, scores_chosen={"MQ": 2.5}, weight=3.0
    )
    labels, chosen, rejected, weights = pair_targets([pair, pair.swapped()])
    assert labels.tolist() == [[1, 22, -1], [-1, 22, 1]]
    assert chosen.tolist() == [[0, 2.5, 0], [0, 0, 0]] and rejected.tolist() == [[0, 0, 0], [0, 2.5, 0]]
    assert weights.tolist() == [3.0, 3.0]


def test_pairs_without_a_winner_in_any_dimension_are_refused():
    with pytest.raises(VideoAlignError, match="nothing to learn from"):
        require_winners([])
