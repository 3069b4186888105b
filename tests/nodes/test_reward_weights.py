import pytest

from videoalign.errors import VideoAlignError
from videoalign.nodes.reward_weights import CUSTOM, PRESETS, chosen_weights
from videoalign.reward.weights import RewardWeights


def test_the_papers_operating_points_are_presets():
    given = {tuple(weights.as_given().values()) for weights in PRESETS.values()}
    assert {(0, 0, 1), (0.1, 0.1, 0.8), (0.1, 0.1, 0.6), (0.5, 0.5, 0)} <= given


def test_a_preset_wins_over_the_sliders_and_custom_is_the_sliders():
    name, weights = next(iter(PRESETS.items()))
    assert chosen_weights(name, 0.9, 0.9, 0.9) == weights
    assert chosen_weights(CUSTOM, 0.9, 0.8, 0.7) == RewardWeights.of(0.9, 0.8, 0.7)


def test_a_presets_name_says_its_values():
    for name, weights in PRESETS.items():
        assert name.endswith(" : ".join(f"{value:g}" for value in weights.as_given().values()))


def test_an_unknown_preset_is_refused_by_name():
    with pytest.raises(VideoAlignError, match="no preset 'cinematic'"):
        chosen_weights("cinematic", 1, 1, 1)
