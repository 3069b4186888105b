"""A mixture of Gaussians whose velocity is known, and what a stochastic sampler makes of it, by quadrature."""

import functools
import itertools

import numpy as np
import torch

from videoalign.guidance.resampling.particles import Run
from videoalign.guidance.resampling.stochastic import noise_scale

SHARES = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
MEANS = torch.tensor([-1.0, 0.5, 1.5], dtype=torch.float64)
WIDTHS = torch.tensor([0.4, 0.3, 0.5], dtype=torch.float64)
STRENGTH = 1.5


def clean(x, t):
    """E[x0 | x_t = x] of float64 values x at one noise level t."""
    x = x[:, None]
    seen = (1 - t) ** 2 * WIDTHS**2 + t**2
    shares = (SHARES.log() - seen.log() / 2 - (x - (1 - t) * MEANS) ** 2 / (2 * seen)).softmax(-1)
    return (shares * (MEANS * t**2 + (1 - t) * x * WIDTHS**2) / seen).sum(-1)


def velocity(x, t):
    """v = (x - E[x0 | x]) / t."""
    return (x - clean(x, t)) / t


def reward(x0):
    """Neither linear nor of one sign: |x0 - 1/4|, capped."""
    return (x0 - 0.25).abs().clamp(max=1.5)


def as_run(levels, keys, at_once, plain=lambda x0: reward(x0)):
    """A run whose latents are [1, 1, 1, 1]; at a noise level above 0 the reward sees the clean value that is foreseen there."""

    def predict(x, sigma, rows):
        return velocity(x.flatten(), sigma).view_as(x)

    def total(x, sigma, rows):
        return plain(clean(x.flatten(), sigma) if sigma else x.flatten()).numpy()

    return Run(predict, total, levels, keys, at_once)


def normal(rows, seed=0):
    """[rows, 1, 1, 1, 1] float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 1, 1, 1, 1, generator=generator, dtype=torch.float64)


GRID = np.linspace(-6, 6, 1201)


@functools.cache
def chain_ends(levels, eta):
    """(x0, its weight) of the sampler with these steps: its density carried along on a grid, without any random number.

    The last step has no noise: the weights are those of the level before, and x0 is where that step leads.
    """
    grid = torch.from_numpy(GRID)
    density = np.exp(-(GRID**2) / 2)
    density /= density.sum()
    for level, following in itertools.pairwise(levels[:-1]):
        s = noise_scale(level, following, eta)
        x0 = clean(grid, level).numpy()
        own = (GRID - (1 - level) * x0) / level  # x1^
        mean = (1 - following) * x0 + np.sqrt(following**2 - s**2) * own
        kernel = np.exp(-((GRID[None, :] - mean[:, None]) ** 2) / (2 * s**2))
        density = density @ (kernel / kernel.sum(1, keepdims=True))
    return clean(grid, levels[-2]), torch.from_numpy(density)


def true_ends():
    """(x0, weight) of the mixture itself."""
    grid = torch.from_numpy(GRID)
    parts = (-((grid[:, None] - MEANS) ** 2) / (2 * WIDTHS**2)).exp() / WIDTHS * SHARES
    weights = parts.sum(-1)
    return grid, weights / weights.sum()


FUNCTIONS = {
    "mean": lambda x: x,
    "square": lambda x: x**2,
    "below -1": lambda x: (x < -1).double(),
    "above 1": lambda x: (x > 1).double(),
}


def expectations(x0, weight, strength):
    """Of the functions, under the density tilted by exp(strength r)."""
    tilted = weight * (strength * reward(x0)).exp()
    return {name: float((tilted * of(x0)).sum() / tilted.sum()) for name, of in FUNCTIONS.items()}
