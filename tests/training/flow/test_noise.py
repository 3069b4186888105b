"""Noise and noise levels: keyed by the sample, distributed as asked, cut off and not squeezed."""

import itertools

import pytest
import torch

from videoalign.training.flow.noise import NoiseConfig, draw, sigma_of

KINDS = [
    {"timesteps": kind, "shift": shift} for kind, shift in itertools.product(("uniform", "logit_normal"), (1.0, 5.0))
]


def quantiles(count=2001, **options):
    return [sigma_of(NoiseConfig(**options), (place + 0.5) / count) for place in range(count)]


def test_uniform_levels_are_uniform_and_the_shift_is_the_samplers():
    assert quantiles(11) == pytest.approx([(place + 0.5) / 11 for place in range(11)])
    shifted = quantiles(11, shift=5.0)
    assert shifted == pytest.approx([5 * u / (1 + 4 * u) for u in [(place + 0.5) / 11 for place in range(11)]])


def test_logit_normal_levels_have_the_density_of_their_definition():
    generator = torch.Generator().manual_seed(0)
    sampled = torch.sigmoid(0.3 + 0.7 * torch.randn(200_000, generator=generator))
    ours = torch.tensor(quantiles(timesteps="logit_normal", logit_mean=0.3, logit_std=0.7))
    grid = torch.linspace(0.05, 0.95, 19)
    assert torch.allclose(torch.quantile(ours, grid), torch.quantile(sampled, grid), atol=5e-3)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_range_cuts_the_distribution_off(kind):
    whole = torch.tensor(quantiles(20001, **kind))
    inside = whole[(whole >= 0.875) & (whole <= 0.95)]
    ours = torch.tensor(quantiles(sigma_min=0.875, sigma_max=0.95, **kind))
    assert ours.min() >= 0.875
    assert ours.max() <= 0.95
    grid = torch.linspace(0, 1, 11)
    assert torch.allclose(torch.quantile(ours, grid), torch.quantile(inside, grid), atol=2e-3)


def test_a_key_always_gives_the_same_numbers_and_another_key_others():
    config = NoiseConfig()
    (sigma, noise), (again, same), (other, different) = (
        draw(config, torch.Size((2, 3)), "flow", 1, key) for key in (7, 7, 8)
    )
    assert sigma == again != other
    assert torch.equal(noise, same)
    assert not torch.equal(noise, different)


def test_the_ends_of_the_range_are_reached_exactly_and_an_empty_range_is_refused():
    for kind in KINDS:
        assert [sigma_of(NoiseConfig(**kind), u) for u in (0.0, 1.0)] == [0.0, 1.0]
    with pytest.raises(ValueError, match="must be below"):
        NoiseConfig(sigma_min=0.9, sigma_max=0.9)


def test_levels_are_those_that_earlier_versions_drew():
    """A run of version 0.1.0 goes on with the levels that it would have had."""
    logit_normal = {"timesteps": "logit_normal", "logit_mean": 0.5, "logit_std": 0.8, "shift": 3}
    for options, levels in (
        ({}, ("0x1.927db3defe5ecp-1", "0x1.d6656db84a458p-1", "0x1.9f20748079370p-3")),
        (logit_normal, ("0x1.ce6d1966db3e9p-1", "0x1.e03c685f776ccp-1", "0x1.6f7419cceb6efp-1")),
        ({"shift": 5, "sigma_min": 0.875}, ("0x1.f62c76b01d55ep-1", "0x1.fc6fbe409cad5p-1", "0x1.d1ab1b8555dadp-1")),
        (
            {"timesteps": "logit_normal", "shift": 3, "sigma_max": 0.875},
            ("0x1.9d332b7adc83bp-1", "0x1.b2f7d7155c520p-1", "0x1.0e9d3688713d2p-1"),
        ),
    ):
        drawn = [draw(NoiseConfig(**options), torch.Size((1,)), "flow", 0, index)[0] for index in range(3)]
        assert drawn == pytest.approx([float.fromhex(level) for level in levels], rel=1e-14)
