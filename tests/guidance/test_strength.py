import dataclasses

import pytest
import torch

from videoalign.errors import GuidanceError
from videoalign.guidance.flow_nrg import FlowNRG
from videoalign.guidance.settings import RAW, UNIT_FREE, GuidanceSettings
from videoalign.guidance.strength import coefficients, factor


def test_raw_weights_count_as_given(drawn, reward):
    x_t, v, conditioning = drawn
    t = torch.full((2,), 0.5)

    def shift(weights):
        settings = GuidanceSettings(weights, 10.0, RAW, cap=None)
        return FlowNRG(reward, settings).begin().shift_velocity(x_t, t, v, conditioning) - v

    strong, weak = shift({"VQ": 0.1, "MQ": 0.1, "TA": 0.8}), shift({"VQ": 0.05, "MQ": 0.05, "TA": 0.4})
    torch.testing.assert_close(strong, 2 * weak, rtol=1e-4, atol=1e-6)


def test_unit_free_weights_are_divided_by_their_sum(calibration):
    rows = [
        coefficients(torch.tensor([0.5]), 100, GuidanceSettings(weights), calibration())
        for weights in ({"VQ": 1, "MQ": 1, "TA": 8}, {"VQ": 0.1, "MQ": 0.1, "TA": 0.8})
    ]
    assert torch.equal(rows[0], rows[1])


def test_unit_free_gradients_have_the_same_size_whatever_the_reward_model(drawn, reward, calibration):
    """A reward model 1000 times as steep, and measured so, steers the same."""
    x_t, v, conditioning = drawn
    t = torch.full((2,), 0.5)

    def shift(steepness):
        def steeper(x, sigma, told):
            return reward(x, sigma, told) * torch.tensor([steepness, 1.0, 1.0])

        measured = calibration(scale=(steepness, 1.0, 1.0))
        guidance = FlowNRG(steeper, GuidanceSettings(cap=None), measured)
        return guidance.begin().shift_velocity(x_t, t, v, conditioning) - v

    torch.testing.assert_close(shift(1.0), shift(1000.0), rtol=1e-4, atol=1e-6)


def test_a_typical_gradient_shifts_the_velocity_by_the_strength_at_the_middle(calibration):
    elements, strength = 64, 0.3
    direction = torch.randn(4, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    direction /= direction.square().mean().sqrt()  # elements of size 1

    def linear(x, sigma, told):
        along = (x * direction).mean((1, 2, 3, 4))  # its gradient has elements of size 1 / 64, as an average's has
        return torch.stack([along, along, along], 1)

    settings = GuidanceSettings({"MQ": 0.4}, strength, cap=None)
    guidance = FlowNRG(linear, settings, calibration(scale=(7.0, 1.0, 7.0))).begin()
    v = torch.zeros(1, 4, 1, 4, 4)
    shift = guidance.shift_velocity(torch.zeros_like(v), torch.tensor([0.5]), v, {})
    assert shift.numel() == elements
    assert float(shift.square().mean().sqrt()) == pytest.approx(strength, rel=1e-5)
    torch.testing.assert_close(shift[0], -strength * direction)


def test_a_sample_with_a_small_gradient_is_shifted_little(calibration):
    """Stored sizes divide: no sample's own gradient is lifted to full size, since it may be noise."""

    def flat(x, sigma, told):
        along = 1e-3 * x.mean((1, 2, 3, 4))
        return torch.stack([along, along, along], 1)

    guidance = FlowNRG(flat, GuidanceSettings({"VQ": 1.0}, 1.0, cap=None), calibration()).begin()
    v = torch.ones(1, 4, 1, 4, 4)
    shift = guidance.shift_velocity(torch.zeros_like(v), torch.tensor([0.5]), v, {}) - v
    assert float(shift.abs().max()) == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize(("accuracy", "share"), [(0.5, 0.0), (0.45, 0.0), (0.55, 0.5), (0.6, 1.0), (0.9, 1.0)])
def test_a_dimension_near_chance_counts_less(calibration, accuracy, share):
    measured = calibration(accuracy=(accuracy, 0.9, 0.9))
    row = coefficients(torch.tensor([0.5]), 100, GuidanceSettings({"VQ": 1, "MQ": 1}, 1.0), measured)[0]
    assert float(row[0] / row[1]) == pytest.approx(share, abs=1e-5)


def test_a_dimension_that_was_not_measured_does_not_count(calibration):
    row = coefficients(torch.tensor([0.5]), 100, GuidanceSettings(), calibration(scale=(0.0, 1.0, 1.0)))[0]
    assert row[0] == 0 and row[1] > 0


def test_a_reward_that_nothing_was_measured_of_refuses_unit_free_strength_and_says_what_to_do(reward, calibration):
    nothing = dataclasses.replace(calibration(), pairs=dict.fromkeys(("VQ", "MQ", "TA"), (0, 0)))
    with pytest.raises(GuidanceError, match=r"VQ and MQ and TA .*not measured.*raw strength.*data\.eval"):
        FlowNRG(reward, GuidanceSettings(), nothing)
    FlowNRG(reward, GuidanceSettings(strength=0.0), nothing)  # which only records
    FlowNRG(reward, GuidanceSettings(mode=RAW), nothing)


def test_a_weight_on_nothing_but_what_was_not_measured_is_refused_and_named(reward, calibration):
    partly = dataclasses.replace(calibration(), pairs={"VQ": (9, 9), "MQ": (9, 9), "TA": (0, 0)})
    with pytest.raises(GuidanceError, match=r"^TA of this.*give a weight to VQ or MQ, which were measured"):
        FlowNRG(reward, GuidanceSettings({"TA": 1.0}), partly)
    row = coefficients(torch.tensor([0.5]), 100, GuidanceSettings(), partly)[0]
    assert row[2] == 0 and row[0] > 0


def test_unit_free_strength_without_measurements_is_refused_before_sampling(reward):
    with pytest.raises(GuidanceError, match=r"no gradient sizes.*raw strength"):
        FlowNRG(reward, GuidanceSettings(mode=UNIT_FREE))


def test_the_bounded_schedule_is_that_of_a_gaussians_value_function():
    """For x0 ~ N(0, 1) and r(x0) = x0, grad V = (1 - t) / ((1 - t)^2 + t^2): checked by regression on samples."""
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 400_000, generator=generator, dtype=torch.float64)
    for t in (0.2, 0.5, 0.8):
        x_t = (1 - t) * clean + t * noise
        slope = (x_t * clean).mean() / (x_t**2).mean()  # of E[x0 | x_t], linear for Gaussians
        expected = t / (1 - t) * slope
        assert float(factor(torch.tensor([t]), GuidanceSettings())) == pytest.approx(float(expected), rel=0.02)


def test_the_papers_schedule_is_t_over_1_minus_t():
    t = torch.tensor([0.1, 0.5, 0.9])
    for settings in (GuidanceSettings(mode=RAW), GuidanceSettings(schedule="paper")):
        torch.testing.assert_close(factor(t, settings), torch.tensor([1 / 9, 1.0, 9.0]))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"weights": {"VQ": -1.0}}, "weight of VQ is -1.0"),
        ({"weights": {"VQ": 0.0}}, "all 0"),
        ({"weights": {"HQ": 1.0}}, "no dimension HQ"),
        ({"strength": float("nan")}, "strength is nan"),
        ({"mode": "paper"}, "mode 'paper' is none of"),
        ({"schedule": "cosine"}, "schedule 'cosine' is none of"),
        ({"start_sigma": 0.2, "end_sigma": 0.5}, "start at sigma 0.2 and end at 0.5"),
        ({"cap": 0.0}, "cap on the shift is 0.0"),
        ({"every": 0}, "every 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused_by_name(wrong, said):
    with pytest.raises(GuidanceError, match=said):
        GuidanceSettings(**wrong)
