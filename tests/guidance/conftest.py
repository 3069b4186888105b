"""Rewards that tests can compute by hand."""

import pytest
import torch

from videoalign.reward.latent.calibration import Calibration, even_edges

SHAPE = (4, 2, 4, 4)


class SmallReward(torch.nn.Module):
    """Three smooth functions of a latent, the noise level and a text, different for each dimension."""

    def __init__(self, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.directions = torch.randn(3, *shape, generator=generator)
        self.text = torch.randn(3, 8, generator=generator)

    def forward(self, x_t, sigma, conditioning):
        along = torch.einsum("bcthw,dcthw->bd", x_t, self.directions) / 8
        told = conditioning["text"].mean(1) @ self.text.T
        return torch.tanh(along + told) * (1 + sigma[:, None]) + 0.1 * (x_t**2).mean((1, 2, 3, 4))[:, None]


def calibration(scale=(1.0, 1.0, 1.0), accuracy=(0.9, 0.9, 0.9), bins: int = 2) -> Calibration:
    """The same numbers in every bin."""
    names = ("VQ", "MQ", "TA")
    return Calibration(
        edges=even_edges(bins),
        accuracy={name: (value,) * bins for name, value in zip(names, accuracy, strict=True)},
        pairs=dict.fromkeys(names, (100,) * bins),
        gradient_scale={name: (value,) * bins for name, value in zip(names, scale, strict=True)},
        mean=dict.fromkeys(names, 0.0),
        std=dict.fromkeys(names, 1.0),
    )


@pytest.fixture
def reward() -> SmallReward:
    return SmallReward()


@pytest.fixture(name="calibration")
def calibration_maker():
    return calibration


@pytest.fixture
def drawn():
    """x_t, v and a conditioning for two clips."""
    generator = torch.Generator().manual_seed(7)
    x_t, v = torch.randn(2, 2, *SHAPE, generator=generator)
    return x_t, v, {"text": torch.randn(2, 3, 8, generator=generator)}
