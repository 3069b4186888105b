"""How strongly each dimension's gradient counts at a noise level.

The shift of the velocity is  -f(sigma) * grad_x sum_i c_i(sigma) r_i  (paper, Eq. 11 = 22, for c_i = w w_i and
f = sigma / (1 - sigma)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..backbones.flow_path import SAME_SIGMA, Level
from ..errors import GuidanceError
from ..reward.dimensions import DIMENSIONS
from .settings import RAW, GuidanceSettings

if TYPE_CHECKING:
    from ..reward.latent.calibration import Calibration
    from .resampling.settings import ParticleSettings

# From this confidence (2 * accuracy - 1; 60 % accuracy) on, a dimension counts in full; at chance it does not count.
FULL_CONFIDENCE = 0.2


def acts_at(sigma: Level, start: float, end: float) -> Level:
    """Whether guidance that acts from noise level ``start`` down to ``end`` acts at ``sigma``, of one level or of each.

    A level is still inside where its last digits differ from those of the end that it lies on.
    """
    return (sigma <= start * (1 + SAME_SIGMA)) & (sigma >= end * (1 - SAME_SIGMA))


def factor(sigma: torch.Tensor, settings: GuidanceSettings) -> torch.Tensor:
    """f(sigma), for sigma in [0, 1).

    Raw strength, and unit-free strength with the schedule "paper": sigma / (1 - sigma).

    Unit-free strength with the schedule "gaussian": gradients arrive with the same size at every sigma, because they were
    divided by their size there. That of a value function falls towards sigma = 1, where the latent tells less and less of
    the clip: for latents of unit variance as (1 - sigma) / ((1 - sigma)^2 + sigma^2). Multiplied back in, this leaves
    sigma / ((1 - sigma)^2 + sigma^2), which is 0 at sigma = 0, 1 at sigma = 1/2 and sigma = 1, and at most 1.21.
    """
    if settings.mode == RAW or settings.schedule == "paper":
        return sigma / (1 - sigma)
    return sigma / ((1 - sigma) ** 2 + sigma**2)


def coefficients(
    sigma: torch.Tensor, elements: int, settings: GuidanceSettings, calibration: Calibration | None
) -> torch.Tensor:
    """c_i(sigma), [B, 3] for VQ, MQ, TA, where sigma is [B]; float32 on its device.

    Unit-free: strength * weight / (size of that dimension's gradient here, as measured when the reward was trained) *
    (how far it can be trusted here). The size is a stored one: a sample whose gradient is small is shifted little, and no
    step lifts a gradient of noise to full size. A dimension that was not measured at this noise level does not count.

    Args:
        elements: numbers in one latent [C, T, H, W].

    Raises:
        GuidanceError: unit-free strength, and the latent reward was not measured in any dimension that has a weight.
    """
    row = settings.weight_row()
    if settings.mode == RAW:
        return settings.strength * sigma.new_tensor(row, dtype=torch.float32).expand(len(sigma), 3)
    if calibration is None:
        raise GuidanceError(
            "The latent reward model stores no gradient sizes, which unit-free strength divides by. Choose raw strength, or "
            "train it with calibration (videoalign train latent-reward)."
        )
    check_measured(settings, calibration)
    levels = sigma.tolist()
    table = {level: _unit_free_row(level, elements, row, calibration) for level in set(levels)}
    return settings.strength * sigma.new_tensor([table[level] for level in levels], dtype=torch.float32)


def trust(dimension: str, sigma: float, calibration: Calibration) -> float:
    """How far a dimension counts at a noise level, 0 to 1, by the held-out accuracy there: at chance not at all."""
    return min(calibration.confidence(dimension, sigma) / FULL_CONFIDENCE, 1.0)


def check_measured(settings: GuidanceSettings | ParticleSettings, calibration: Calibration) -> None:
    """Refuse unit-free strength where it would do nothing, as nothing is known of the dimensions that have a weight.

    Raises:
        GuidanceError: the message says what to do instead.
    """
    wanted = [name for name, weight in zip(DIMENSIONS, settings.weight_row(), strict=True) if weight]
    if any(calibration.is_measured(name) for name in wanted):
        return
    measured = [name for name in DIMENSIONS if calibration.is_measured(name)]
    instead = f"give a weight to {' or '.join(measured)}, which were measured; " if measured else ""
    raise GuidanceError(
        f"{' and '.join(wanted)} of this latent reward model: not measured, as its training had no held-out pairs with a winner. "
        f"Unit-free strength cannot be used: {instead}choose raw strength, or train it again with pairs of at least two prompts "
        "(data.eval_share above 0) or with data.eval."
    )


def _unit_free_row(sigma: float, elements: int, weights, calibration: Calibration) -> list[float]:
    made = []
    for name, weight in zip(DIMENSIONS, weights, strict=True):
        size = calibration.gradient_rms(name, sigma, elements)
        counted = weight * trust(name, sigma, calibration)
        made.append(counted / size if size > 0 and calibration.is_measured(name) else 0.0)
    return made
