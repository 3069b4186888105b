"""The noise level and the noise of each training sample: a pure function of the seed and of the sample's number.

Both clips of a pair get the same ones (paper, section 4.3): what differs between the two noisy latents is then the clips
alone. Nothing depends on the process that draws, on the micro batch or on what was drawn before.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

from .config import NoiseConfig


def noise_level(config: NoiseConfig, generator: torch.Generator) -> float:
    """Draw t in [0, 1] as ``config`` says.

    Uniform: t = u. Logit-normal (arXiv 2403.03206, section 3.1): t = sigmoid(mean + std n). Shifted: the resolution
    shift of the same paper, Eq. 23, applied to u.
    """
    if config.timesteps == "logit_normal":
        normal = torch.randn((), generator=generator, dtype=torch.float64).item()
        return 1 / (1 + math.exp(-(config.logit_mean + config.logit_std * normal)))
    t = torch.rand((), generator=generator, dtype=torch.float64).item()
    if config.timesteps == "shifted":
        t = config.shift * t / (1 + (config.shift - 1) * t)
    return t


def generator_of(*key: object) -> torch.Generator:
    """A CPU generator whose stream depends on the key alone (numbers and strings)."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def add_noise(clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """x_t = (1 - t) x_0 + t x_1 in float32: clean and noise [B, C, T, H, W], t [B]."""
    t = t.float().reshape(-1, *(1,) * (clean.ndim - 1))
    return (1 - t) * clean.float() + t * noise.float()
