"""The noise level of each training sample: a pure function of the seed and of the sample's number.

Both clips of a pair get the same level, and the same noise (paper, section 4.3) unless each is to have its own: what differs
between the two noisy latents is then the clips alone. Nothing depends on the process that draws, on the micro batch or on what was drawn before.
"""

from __future__ import annotations

import torch

from ...backbones.flow_path import LogitNormal, shift_sigma
from .config import NoiseConfig


def noise_level(config: NoiseConfig, generator: torch.Generator) -> float:
    """Draw sigma in [0, 1] as ``config`` says: uniform, ``LogitNormal``, or uniform and then shifted."""
    if config.timesteps == "logit_normal":
        normal = torch.randn((), generator=generator, dtype=torch.float64).item()
        return LogitNormal(config.logit_mean, config.logit_std).of(normal)
    u = torch.rand((), generator=generator, dtype=torch.float64).item()
    return shift_sigma(u, config.shift) if config.timesteps == "shifted" else u


def level_below_which(config: NoiseConfig, share: float) -> float:
    """The level that a share in [0, 1] of all drawn ones lies below."""
    if config.timesteps == "logit_normal":
        return LogitNormal(config.logit_mean, config.logit_std).quantile(share)
    return shift_sigma(share, config.shift) if config.timesteps == "shifted" else share
