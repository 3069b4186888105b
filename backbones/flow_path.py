"""The path of a rectified flow: each of x_t, x0, x1 and velocity from the others, its noise levels, and seeded noise.

    x_t = (1 - sigma) x0 + sigma x1,   x1 ~ N(0, I),   v = x1 - x0,   sigma in [0, 1]: 0 is clean, 1 is noise

ComfyUI's CONST parametrisation and diffusers' flow-match schedulers are the same path. These formulas are written here and
nowhere else. Tensors are [B, ...] and ``sigma`` is [B], or one number for all; nothing is cast: give float32 where the result
has to be that exact.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, TypeVar

from ..errors import VideoAlignError

if TYPE_CHECKING:
    import torch  # the options of commands name these formulas: their help must not wait for it
    from torch import Tensor

Level = TypeVar("Level", float, "Tensor")
"""A noise level, or a tensor of them."""

SAME_SIGMA = 2.0**-17
"""Relative difference up to which two numbers are one noise level of a schedule.

Samplers compute a level again as exp(log sigma) in float32: rounding the logarithm, of size up to 16, moves sigma by up to
2**-20 of itself, and a few operations more are allowed for. The levels of a schedule lie further apart: the first two of 1000
steps at shift 20 by 1 / (1000 * 20) = 2**-14.
"""
_TINY = 2.0**-126  # the smallest normal float32: what is divided by is never 0


# -- between x_t, x0, x1 and v -------------------------------------------------------------------------------------------
def add_noise(x0: Tensor, x1: Tensor, sigma: Level) -> Tensor:
    """x_t = (1 - sigma) x0 + sigma x1."""
    sigma = over(sigma, x0)
    return (1 - sigma) * x0 + sigma * x1


def velocity_target(x0: Tensor, x1: Tensor) -> Tensor:
    """v = dx_t / dsigma = x1 - x0: what a network learns to say at every sigma."""
    return x1 - x0


def velocity_to_x0(v: Tensor, x_t: Tensor, sigma: Level) -> Tensor:
    """x0 = x_t - sigma v: the clean latents that a velocity means; ``denoised`` in ComfyUI.

    x0 is affine in v: a change of the velocity by dv changes x0 to ``velocity_to_x0(dv, x0, sigma)``.
    """
    return x_t - over(sigma, x_t) * v


def velocity_to_x1(v: Tensor, x_t: Tensor, sigma: Level) -> Tensor:
    """x1 = x_t + (1 - sigma) v: the noise that a velocity means; affine in v as ``velocity_to_x0``."""
    return x_t + (1 - over(sigma, x_t)) * v


def x0_to_velocity(x0: Tensor, x_t: Tensor, sigma: Tensor) -> Tensor:
    """v = (x_t - x0) / sigma; not defined at sigma = 0, where x0 = x_t whatever v is."""
    return (x_t - x0) / over(sigma, x_t).clamp_min(_TINY)


def x1_to_velocity(x1: Tensor, x_t: Tensor, sigma: Tensor) -> Tensor:
    """v = (x1 - x_t) / (1 - sigma); not defined at sigma = 1, where x1 = x_t whatever v is."""
    return (x1 - x_t) / (1 - over(sigma, x_t)).clamp_min(_TINY)


def exploding_to_flow(x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """(x_t, sigma of the flow) of x = x0 + sigma x1, the variance-exploding path of EPS and V models, sigma from 0 on.

    x / (1 + sigma) = (1 - s) x0 + s x1 with s = sigma / (1 + sigma): the same x0 and x1, another scale.
    """
    return x / over(1 + sigma, x), sigma / (1 + sigma)


def over(values: Level, x: Tensor) -> Level:
    """[B] as [B, 1, 1, ...] on x's device, to be multiplied with x [B, ...]; a plain number stays one."""
    return values if isinstance(values, float | int) else values.to(x.device).reshape(-1, *(1,) * (x.ndim - 1))


# -- noise levels --------------------------------------------------------------------------------------------------------
def shift_sigma(sigma: Level, shift: float) -> Level:
    """s sigma / (1 + (s - 1) sigma): levels bent towards noise for s > 1 (arXiv 2403.03206, Eq. 23); 0 and 1 stay."""
    return shift * sigma / (1 + (shift - 1) * sigma)


def unshift_sigma(sigma: Level, shift: float) -> Level:
    """sigma / (s - (s - 1) sigma), the inverse of ``shift_sigma``; which is ``shift_sigma`` by 1 / s."""
    return sigma / (shift - (shift - 1) * sigma)


def sigmas(steps: int, shift: float = 1.0) -> Tensor:
    """[steps + 1] noise levels from 1 to 0: even ones, shifted.

    These are the levels of ComfyUI's ``simple`` scheduler where ``steps`` divides 1000.

    Raises:
        VideoAlignError: fewer than one step, or a shift that is not positive.
    """
    import torch

    if steps < 1 or not shift > 0:
        raise VideoAlignError(
            f"{steps} steps with shift {shift} is no schedule; expected at least 1 step and a shift above 0."
        )
    return shift_sigma(torch.linspace(1, 0, steps + 1, dtype=torch.float64), shift).float()


@dataclass(frozen=True)
class LogitNormal:
    """Noise levels sigma = 1 / (1 + exp(-(mean + std n))), n ~ N(0, 1) (arXiv 2403.03206, section 3.1).

    A level can be drawn from a normal number (``of``), or from a uniform one that is a quantile (``quantile``). Both are
    needed: the latent reward's noise levels come from normal numbers and those of flow training from uniform ones, and a run
    that goes on must draw what it would have drawn.
    """

    mean: float = 0.0
    std: float = 1.0

    def of(self, n: float) -> float:
        """The level of a standard normal number."""
        return _sigmoid(self.mean + self.std * n)

    def quantile(self, u: float) -> float:
        """The level that a share ``u`` in [0, 1] of all levels lies below."""
        return u if u in (0.0, 1.0) else _sigmoid(NormalDist(self.mean, self.std).inv_cdf(u))

    def share_below(self, sigma: float) -> float:
        """The share of levels below ``sigma`` in [0, 1], the inverse of ``quantile``."""
        if sigma in (0.0, 1.0):
            return sigma
        return NormalDist(self.mean, self.std).cdf(math.log(sigma / (1 - sigma)))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


# -- seeded noise --------------------------------------------------------------------------------------------------------
def generator_of(*key: object) -> torch.Generator:
    """A CPU generator whose stream depends on the key alone (numbers and strings), whatever was drawn before."""
    import torch

    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def seeded_noise(seeds: Sequence[int], shape: Sequence[int]) -> Tensor:
    """[B, *shape] float32 standard normal noise on the CPU; each sample's depends on its seed alone.

    A sample's noise is what ComfyUI makes for a batch of one with that seed.
    """
    import torch

    return torch.stack([torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed)) for seed in seeds])
