"""Noise levels and noise are functions of the seed and the sample's number, shared by both sides of a pair."""

import numpy as np
import pytest
import torch

from videoalign.training.latent_reward.config import NoiseConfig
from videoalign.training.latent_reward.noise import add_noise, generator_of, noise_level


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


def test_the_same_key_gives_the_same_stream_and_another_key_another():
    draw = lambda *key: torch.randn(4, generator=generator_of(*key))  # noqa: E731
    assert torch.equal(draw("a", 1), draw("a", 1))
    assert not torch.equal(draw("a", 1), draw("a", 2)) and not torch.equal(draw("a", 1), draw("b", 1))


def test_noising_is_the_rectified_flow_path():
    clean, noise = torch.randn(3, 2, 1, 2, 2), torch.randn(3, 2, 1, 2, 2)
    t = torch.tensor([0.0, 0.25, 1.0])
    noisy = add_noise(clean, noise, t)
    assert torch.equal(noisy[0], clean[0]) and torch.equal(noisy[2], noise[2])
    assert torch.allclose(noisy[1], 0.75 * clean[1] + 0.25 * noise[1])
