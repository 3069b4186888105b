"""The stochastic step: the stochastic differential equation in its limit, the right noise level at any length, Euler without noise."""

import pytest
import torch

from videoalign.guidance.resampling.stochastic import euler_step, noise_scale, stochastic_step

X, V, NOISE = torch.randn(3, 2, 1, 2, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("eta", [0.3, 1.0])
@pytest.mark.parametrize("level", [0.2, 0.5, 0.9])
def test_a_short_step_is_euler_maruyamas(level, eta):
    h = 1e-6
    g2 = eta**2 * 2 * level / (1 - level)
    own = X + (1 - level) * V  # x1^
    drift = (stochastic_step(X, V, level, level - h, eta, 0 * NOISE) - X) / -h
    torch.testing.assert_close(drift, V + g2 / (2 * level) * own, rtol=1e-4, atol=1e-4)
    assert noise_scale(level, level - h, eta) ** 2 / h == pytest.approx(g2, rel=1e-4)


@pytest.mark.parametrize("eta", [0.3, 1.0])
@pytest.mark.parametrize(("level", "following"), [(1.0, 0.7), (0.8, 0.3), (0.5, 0.01)])
def test_a_long_step_keeps_the_noise_level(level, following, eta):
    """x = (1 - sigma) x0 + sigma x1 with the right velocity becomes (1 - sigma') x0 and noise of variance sigma'^2."""
    clean, own = X, V
    s = noise_scale(level, following, eta)
    step = stochastic_step((1 - level) * clean + level * own, own - clean, level, following, eta, NOISE)
    left = step - (1 - following) * clean - s * NOISE
    torch.testing.assert_close(left / own, torch.full_like(X, (following**2 - s**2) ** 0.5))
    assert 0 < s <= following


def test_at_eta_1_it_is_the_posterior_of_the_forward_chain():
    """x_t = a x_s + b n with a = (1 - t) / (1 - s): by Bayes x_s given x_t and x0 has the variance b^2 s^2 / t^2."""
    t, s = 0.8, 0.3
    a = (1 - t) / (1 - s)
    b2 = t**2 - a**2 * s**2
    assert noise_scale(t, s, 1.0) ** 2 == pytest.approx(b2 * s**2 / t**2)


def test_pure_noise_is_drawn_anew_at_eta_1():
    step = stochastic_step(X, V, 1.0, 0.6, 1.0, NOISE)
    torch.testing.assert_close(step, 0.4 * (X - V) + 0.6 * NOISE)


@pytest.mark.parametrize(("following", "eta"), [(0.3, 0.0), (0.0, 1.0)])
def test_without_noise_to_add_it_is_eulers_step_bit_for_bit(following, eta):
    assert torch.equal(stochastic_step(X, V, 0.5, following, eta, NOISE), euler_step(X, V, 0.5, following))
