"""The noise level and the noise of each sample: a pure function of the seed and of the sample's number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from ...backbones.flow_path import LogitNormal, generator_of, shift_sigma, unshift_sigma
from ...cli.options import CommandConfig

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class NoiseConfig(CommandConfig):
    """Which noise levels are trained on (sigma: 0 clean, 1 noise)."""

    timesteps: Literal["uniform", "logit_normal"] = Field(
        "uniform",
        description="uniform: every level alike; logit_normal: sigmoid of a normal number, fewer at the ends.",
    )
    logit_mean: float = Field(0.0, description="Mean of the normal number of logit_normal; above 0 means more noise.")
    logit_std: float = Field(1.0, gt=0, description="Standard deviation of the normal number of logit_normal.")
    shift: float = Field(
        1.0, gt=0, description="Bends levels towards noise: sigma = s u / (1 + (s - 1) u). 1 is the paper's uniform t."
    )
    sigma_min: float = Field(0.0, ge=0, lt=1, description="Lowest level; Wan 2.2's high-noise expert: 0.875 (I2V 0.9).")
    sigma_max: float = Field(1.0, gt=0, le=1, description="Highest level; Wan 2.2's low-noise expert: 0.875 (I2V 0.9).")

    @model_validator(mode="after")
    def _has_a_range(self) -> NoiseConfig:
        if self.sigma_min >= self.sigma_max:
            raise ValueError(f"sigma_min ({self.sigma_min}) must be below sigma_max ({self.sigma_max})")
        return self


def sigma_of(config: NoiseConfig, u: float) -> float:
    """The level at quantile ``u`` in [0, 1] of the distribution that ``config`` describes, within its range.

    The range cuts the distribution off (the rest is scaled up): it does not squeeze it. Uniform: sigma = u; logit-normal:
    ``LogitNormal``; both are then shifted.
    """
    edges = (unshift_sigma(edge, config.shift) for edge in (config.sigma_min, config.sigma_max))
    low, high = (_share_below(config, edge) for edge in edges)
    sigma = shift_sigma(_quantile(config, low + (high - low) * u), config.shift)
    return min(max(sigma, config.sigma_min), config.sigma_max)


def draw(config: NoiseConfig, shape: torch.Size, *key: object) -> tuple[float, Tensor]:
    """(sigma, noise) of one sample: the level, and standard normal noise of ``shape`` in float32 on the CPU.

    The same key gives the same numbers on every process and after every restart.
    """
    import torch

    generator = generator_of(*key)
    u = torch.rand((), generator=generator, dtype=torch.float64).item()
    return sigma_of(config, u), torch.randn(shape, generator=generator)


def _share_below(config: NoiseConfig, sigma: float) -> float:
    return sigma if config.timesteps == "uniform" else _logit_normal(config).share_below(sigma)


def _quantile(config: NoiseConfig, u: float) -> float:
    return u if config.timesteps == "uniform" else _logit_normal(config).quantile(u)


def _logit_normal(config: NoiseConfig) -> LogitNormal:
    return LogitNormal(config.logit_mean, config.logit_std)
