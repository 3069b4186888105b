"""Noise levels and noise are functions of the seed and the sample's number, shared by both sides of a pair."""

import numpy as np
import pytest

from videoalign.backbones.flow_path import generator_of
from videoalign.training.latent_reward.config import NoiseConfig
from videoalign.training.latent_reward.noise import noise_level


def levels(count=4000, **options):
    config = NoiseConfig(**options)
    return np.array([noise_level(config, generator_of("levels", index)) for index in range(count)])


def test_uniform_levels_fill_the_unit_interval_evenly():
    drawn = levels()
    assert np.histogram(drawn, bins=10, range=(0, 1))[0].min() > 320
    assert drawn.mean() == pytest.approx(0.5, abs=0.02)


def test_logit_normal_levels_have_the_asked_for_quartiles():
    low, middle, high = np.quantile(levels(timesteps="logit_normal", logit_mean=0.5, logit_std=0.8), [0.25, 0.5, 0.75])
    for level, normal in ((low, -0.67449), (middle, 0.0), (high, 0.67449)):
        assert level == pytest.approx(1 / (1 + np.exp(-(0.5 + 0.8 * normal))), abs=0.02)


def test_shifted_levels_are_the_uniform_ones_bent_as_the_sampler_bends_them():
    u = levels(50)
    assert np.allclose(levels(50, timesteps="shifted", shift=5.0), 5 * u / (1 + 4 * u))


def test_levels_are_those_that_earlier_versions_drew():
    """A run of version 0.1.0 goes on with the levels that it would have had."""

    def drawn(**options):
        config = NoiseConfig(**options)
        return [noise_level(config, generator_of("latent reward", 0, index, "t")) for index in range(3)]

    assert drawn() == pytest.approx([0.017486010949898545, 0.917243736868082, 0.15694437922148174], rel=1e-14)
    logit_normal = drawn(timesteps="logit_normal", logit_mean=0.5, logit_std=0.8)
    assert logit_normal == pytest.approx(
        [float.fromhex(level) for level in ("0x1.7c097ce2018ddp-1", "0x1.647b9c4f1fec4p-1", "0x1.7bbc0e8d46837p-1")],
        rel=1e-14,
    )
    shifted = [
        float.fromhex(level) for level in ("0x1.9f371d0c69e52p-5", "0x1.f10d3217d0184p-1", "0x1.6ef385a74f0dfp-2")
    ]
    assert drawn(timesteps="shifted") == pytest.approx(shifted, rel=1e-14)
