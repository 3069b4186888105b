"""The one number of a latent reward: units, weights, trust, refusals."""

import pytest
import torch

from videoalign.errors import GuidanceError
from videoalign.guidance.resampling.settings import FeynmanKacSettings, ParticleSettings, RGRPSettings
from videoalign.guidance.resampling.totals import RewardTotal
from videoalign.reward.latent.calibration import Calibration, even_edges

X = torch.zeros(2, 1, 1, 1, 1)
ROWS = torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]])
WEIGHTS = {"VQ": 1.0, "MQ": 1.0, "TA": 2.0}


def calibration(accuracy=(0.9, 0.9), std=2.0):
    names = ("VQ", "MQ", "TA")
    return Calibration(
        even_edges(2), dict.fromkeys(names, accuracy), dict.fromkeys(names, (9, 9)), dict.fromkeys(names, (1.0, 1.0)),
        {"VQ": 0.5, "MQ": 0.0, "TA": 1.0}, {"VQ": std, "MQ": 1.0, "TA": 4.0},
    )  # fmt: skip


def total(mode, rows=ROWS, **about):
    return RewardTotal(lambda x, sigma, told: rows, ParticleSettings(WEIGHTS, mode=mode), **about)


def test_raw_rewards_count_by_the_weights_as_given():
    assert total("raw")(X, 0.5, {}).tolist() == [1 + 2 + 6, -1 + 8]


def test_unit_free_rewards_count_in_standard_deviations_by_weights_with_sum_1():
    found = total("unit-free", calibration=calibration())(X, 0.5, {})
    expected = [(0.25 + 2.0 + 2 * 0.5) / 4, (-0.25 - 1.0 + 2 * 0.75) / 4]
    assert found == pytest.approx(expected)


def test_where_the_reward_is_at_chance_it_does_not_count():
    """Accuracy 0.9 below sigma = 1/4, 0.5 above 3/4, and 0.55 between them, which is half of what counts in full."""
    made = total("unit-free", calibration=calibration(accuracy=(0.9, 0.5)))
    whole = made(X, 0.2, {})
    assert made(X, 0.8, {}).tolist() == [0.0, 0.0]
    level = 0.75 - 0.5 * 0.1 / 0.8  # where 2 accuracy - 1 is 0.1
    assert made(X, level, {}) == pytest.approx(whole / 2)


def test_what_cannot_be_used_is_refused():
    with pytest.raises(GuidanceError, match="Choose raw"):
        total("unit-free")
    with pytest.raises(GuidanceError, match="judgement is not finite at sigma"):
        total("raw", rows=ROWS * torch.nan)(X, 0.5, {})
    with pytest.raises(GuidanceError, match="latent is not finite"):
        total("raw", rows=ROWS * torch.nan)(X * torch.nan, 0.5, {})


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (RGRPSettings, {"particles": 0}, "number of particles is 0"),
        (RGRPSettings, {"spread": 1.5}, "spread of the particles' noise is 1.5"),
        (RGRPSettings, {"first_look": 0.5, "last_look": 0.4}, "give shares"),
        (RGRPSettings, {"looks": 0}, "judged 0 times"),
        (RGRPSettings, {"strength": -1.0}, "must be 0 or more"),
        (FeynmanKacSettings, {"potential": "min"}, "potential 'min' is none of 'diff', 'max', 'add'"),
        (FeynmanKacSettings, {"eta": 2.0}, "eta is 2.0"),
        (FeynmanKacSettings, {"at_once": 0}, "particles at once is 0"),
        (FeynmanKacSettings, {"looks": 0}, "judged 0 times"),
        (FeynmanKacSettings, {"weights": {"VQ": 0.0}}, "are all 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(kind, options, said):
    with pytest.raises(GuidanceError, match=said):
        kind(**options)
