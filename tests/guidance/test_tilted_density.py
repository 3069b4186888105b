"""With the exact value function, the guided flow samples the tilted density (DESIGN.md, section 2)."""

import itertools
import math

import pytest
import torch

from videoalign.guidance.flow_nrg import FlowNRG
from videoalign.guidance.settings import RAW, GuidanceSettings

# A mixture of Gaussians, the reward r(x0) = x0, and its weight: the tilted density is p(x0) exp(w x0) / Z.
SHARES = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
MEANS = torch.tensor([-1.0, 0.5, 1.5], dtype=torch.float64)
WIDTHS = torch.tensor([0.4, 0.3, 0.5], dtype=torch.float64)
STRENGTH = 0.8
PARTICLES, STEPS = 1000, 400
TAIL = 1.5


def posterior(x, t):
    """Shares, means and variances of the components of p(x0 | x_t), each [N, 3]."""
    x, t = x[:, None], t[:, None]
    seen = (1 - t) ** 2 * WIDTHS**2 + t**2
    log_share = SHARES.log() - seen.log() / 2 - (x - (1 - t) * MEANS) ** 2 / (2 * seen)
    means = (MEANS * t**2 + (1 - t) * x * WIDTHS**2) / seen
    return log_share.softmax(-1), means, WIDTHS**2 * t**2 / seen


def velocity(x, t):
    """v = E[x1 - x0 | x_t] = (x_t - E[x0 | x_t]) / t."""
    shares, means, _ = posterior(x, t)
    return (x - (shares * means).sum(-1)) / t


def value(x_t, sigma, conditioning):
    """V_t(x) = log E[exp(w x0) | x_t = x] / w as VQ; MQ and TA are 0."""
    x, t = x_t.flatten().double(), sigma.double()
    shares, means, variances = posterior(x, t)
    exponent = shares.log() + STRENGTH * means + STRENGTH**2 * variances / 2
    return torch.stack([exponent.logsumexp(-1) / STRENGTH, 0 * x, 0 * x], 1)


def sampled(guide, steps=STEPS):
    """Euler from the quantiles of N(0, 1); ``guide(x, t, v)`` gives the velocity to follow."""
    levels = (torch.arange(PARTICLES, dtype=torch.float64) + 0.5) / PARTICLES
    x = math.sqrt(2) * torch.erfinv(2 * levels - 1)
    times = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    for t, following in itertools.pairwise(times):
        v = guide(x, t.expand(PARTICLES), velocity(x, t.expand(PARTICLES)))
        x = x + (following - t) * v
    return x


def flow_nrg(**settings):
    guidance = FlowNRG(value, GuidanceSettings({"VQ": 1.0}, STRENGTH, RAW, cap=None, **settings))
    run = guidance.begin()

    def guide(x, t, v):
        return run.shift_velocity(x.view(-1, 1, 1, 1, 1), t, v.view(-1, 1, 1, 1, 1), {}).flatten()

    return guide


def expected():
    """Mean and P(x0 > TAIL) of the tilted mixture: components move by w s^2 and are weighed by exp(w m + w^2 s^2 / 2)."""
    shares = (SHARES.log() + STRENGTH * MEANS + STRENGTH**2 * WIDTHS**2 / 2).softmax(-1)
    means = MEANS + STRENGTH * WIDTHS**2
    tail = (1 - torch.erf((TAIL - means) / (WIDTHS * math.sqrt(2)))) / 2
    return float((shares * means).sum()), float((shares * tail).sum())


def errors(x):
    """How far mean and tail are off, the mean relative to the distance that the tilt moves it."""
    mean, tail = expected()
    untilted = float((SHARES * MEANS).sum())
    return abs(float(x.mean()) - mean) / abs(mean - untilted), abs(float((x > TAIL).double().mean()) - tail) / tail


def test_the_guided_flow_samples_the_tilted_density():
    assert max(errors(sampled(flow_nrg()))) < 0.01


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda x, t, v, shifted: 2 * v - shifted, id="the wrong sign"),
        pytest.param(lambda x, t, v, shifted: v + (shifted - v) * (1 - t) / t, id="without t / (1 - t)"),
        pytest.param(lambda x, t, v, shifted: v + (shifted - v) * (1 - t), id="without 1 / (1 - t)"),
        pytest.param(lambda x, t, v, shifted: v, id="unguided"),
    ],
)
def test_another_formula_samples_another_density(wrong):
    guide = flow_nrg()
    x = sampled(lambda x, t, v: wrong(x, t, v, guide(x, t, v)), steps=100)
    assert max(errors(x)) > 0.05
