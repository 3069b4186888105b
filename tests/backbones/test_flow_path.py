"""The rectified flow's identities: each quantity of the path from the others, levels, and seeded noise."""

import math

import pytest
import torch

from videoalign.backbones.flow_path import (
    SAME_SIGMA,
    LogitNormal,
    add_noise,
    exploding_to_flow,
    generator_of,
    over,
    seeded_noise,
    shift_sigma,
    sigmas,
    unshift_sigma,
    velocity_target,
    velocity_to_x0,
    velocity_to_x1,
    x0_to_velocity,
    x1_to_velocity,
)
from videoalign.errors import VideoAlignError

SIGMA = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)


@pytest.fixture
def x0_x1():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(3, 2, 1, 2, 2, generator=generator, dtype=torch.float64) for _ in range(2)]


def test_the_path_begins_at_the_clean_latents_and_ends_at_the_noise(x0_x1):
    x0, x1 = x0_x1
    x_t = add_noise(x0, x1, torch.tensor([0.0, 0.25, 1.0]))
    assert torch.equal(x_t[0], x0[0]) and torch.equal(x_t[2], x1[2])
    assert torch.allclose(x_t[1], 0.75 * x0[1] + 0.25 * x1[1])
    assert torch.equal(add_noise(x0, x1, 0.25)[1], x_t[1])


def test_the_velocity_is_the_derivative_of_the_path(x0_x1):
    x0, x1 = x0_x1
    sigma = SIGMA.clone().requires_grad_(True)
    _, derivative = torch.autograd.functional.jvp(lambda level: add_noise(x0, x1, level), sigma, torch.ones(3).double())
    assert torch.allclose(velocity_target(x0, x1), derivative)


def test_each_of_the_quantities_follows_from_the_others(x0_x1):
    x0, x1 = x0_x1
    x_t, v = add_noise(x0, x1, SIGMA), velocity_target(x0, x1)
    for made, meant in (
        (velocity_to_x0(v, x_t, SIGMA), x0),
        (velocity_to_x1(v, x_t, SIGMA), x1),
        (x0_to_velocity(x0, x_t, SIGMA), v),
        (x1_to_velocity(x1, x_t, SIGMA), v),
        (add_noise(velocity_to_x0(v, x_t, SIGMA), velocity_to_x1(v, x_t, SIGMA), SIGMA), x_t),
    ):
        assert torch.allclose(made, meant, atol=1e-14)


def test_a_change_of_the_velocity_changes_x0_and_x1_by_the_same_formulas(x0_x1):
    x0, x1 = x0_x1
    x_t, v, dv = add_noise(x0, x1, SIGMA), velocity_target(x0, x1), torch.ones_like(x0)
    assert torch.allclose(velocity_to_x0(v + dv, x_t, SIGMA), velocity_to_x0(dv, x0, SIGMA))
    assert torch.allclose(velocity_to_x1(v + dv, x_t, SIGMA), velocity_to_x1(dv, x1, SIGMA))


def test_the_exploding_path_is_the_flow_in_another_scale(x0_x1):
    x0, x1 = x0_x1
    exploding = torch.tensor([0.03, 1.0, 14.6], dtype=torch.float64)
    x_t, sigma = exploding_to_flow(x0 + over(exploding, x0) * x1, exploding)
    assert torch.allclose(x_t, add_noise(x0, x1, sigma))
    assert torch.allclose(sigma / (1 - sigma), exploding)


@pytest.mark.parametrize("shift", [0.3, 1.0, 5.0, 12.0])
def test_the_shift_keeps_the_ends_and_its_inverse_undoes_it(shift):
    levels = torch.linspace(0, 1, 21, dtype=torch.float64)
    bent = shift_sigma(levels, shift)
    assert bent[0] == 0 and float(bent[-1]) == pytest.approx(1, abs=1e-15)
    assert torch.allclose(unshift_sigma(bent, shift), levels)
    assert torch.allclose(unshift_sigma(levels, shift), shift_sigma(levels, 1 / shift))
    assert shift_sigma(0.25, shift) == pytest.approx(float(bent[5]))
    # What the shift is for: the odds of noise against signal, sigma / (1 - sigma), are multiplied by it.
    assert torch.allclose(bent[1:-1] / (1 - bent[1:-1]), shift * levels[1:-1] / (1 - levels[1:-1]))


def test_the_schedule_runs_from_one_to_zero_and_is_shifted():
    expected = [5 * u / (1 + 4 * u) for u in (1, 0.75, 0.5, 0.25, 0)]
    assert sigmas(4, shift=5).tolist() == pytest.approx(expected, abs=1e-7)
    assert sigmas(10).tolist() == pytest.approx([1 - i / 10 for i in range(11)], abs=1e-7)
    with pytest.raises(VideoAlignError, match="0 steps"):
        sigmas(0)


def test_levels_that_differ_by_rounding_are_one_and_neighbours_of_a_schedule_are_not():
    levels = sigmas(1000, shift=20)
    again = levels[:-1].log().exp()
    assert ((again - levels[:-1]).abs() / levels[:-1]).max() < SAME_SIGMA
    assert ((levels[:-2] - levels[1:-1]) / levels[:-2]).min() > 4 * SAME_SIGMA


def test_quantiles_and_shares_of_logit_normal_levels_are_inverse():
    levels = LogitNormal(0.3, 0.7)
    for u in (0.0, 0.02, 0.5, 0.97, 1.0):
        assert levels.share_below(levels.quantile(u)) == pytest.approx(u)
    assert levels.quantile(0.5) == levels.of(0.0) == 1 / (1 + math.exp(-0.3))
    assert levels.of(1.0) == pytest.approx(levels.quantile(0.8413447460685429))  # one standard deviation above


def test_the_same_key_gives_the_same_stream_and_another_key_another():
    def draw(*key):
        return torch.randn(4, generator=generator_of(*key))

    assert torch.equal(draw("a", 1), draw("a", 1))
    assert not torch.equal(draw("a", 1), draw("a", 2)) and not torch.equal(draw("a", 1), draw("b", 1))


def test_streams_are_those_of_earlier_versions():
    """A run of version 0.1.0 that goes on draws what it would have drawn."""
    assert generator_of("flow", 0, 3).initial_seed() == 4966657785145364142
    assert generator_of("latent reward", 0, 3, "t").initial_seed() == 1580926784368080740


def test_a_samples_noise_depends_on_its_own_seed_only():
    batch = seeded_noise([7, 8, 9], (4, 2, 3, 3))
    assert torch.equal(batch[1], seeded_noise([8], (4, 2, 3, 3))[0])
    assert not torch.equal(batch[0], batch[2])
    expected = torch.randn(1, 4, 2, 3, 3, generator=torch.manual_seed(8))  # as ComfyUI draws for a batch of one
    assert torch.equal(batch[1:2], expected)
