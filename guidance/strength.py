"""How strongly each dimension's gradient counts at a noise level.

The shift of the velocity is  -f(t) * grad_x sum_i c_i(t) r_i  (paper, Eq. 11 = 22, for c_i = w w_i and f = t / (1 - t)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..errors import GuidanceError
from ..reward.dimensions import DIMENSIONS
from .settings import RAW, GuidanceSettings

if TYPE_CHECKING:
    from ..reward.latent.calibration import Calibration

# From this confidence (2 * accuracy - 1; 60 % accuracy) on, a dimension counts in full; at chance it does not count.
FULL_CONFIDENCE = 0.2


def factor(t: torch.Tensor, settings: GuidanceSettings) -> torch.Tensor:
    """f(t), for t in [0, 1).

    Raw strength, and unit-free strength with the schedule "paper": t / (1 - t).

    Unit-free strength with the schedule "gaussian": gradients arrive with the same size at every t, because they were
    divided by their size there. That of a value function falls towards t = 1, where the latent tells less and less of the
    clip: for latents of unit variance as (1 - t) / ((1 - t)^2 + t^2). Multiplied back in, this leaves
    t / ((1 - t)^2 + t^2), which is 0 at t = 0, 1 at t = 1/2 and t = 1, and at most 1.21.
    """
    if settings.mode == RAW or settings.schedule == "paper":
        return t / (1 - t)
    return t / ((1 - t) ** 2 + t**2)


def coefficients(
    t: torch.Tensor, elements: int, settings: GuidanceSettings, calibration: Calibration | None
) -> torch.Tensor:
    """c_i(t), [B, 3] for VQ, MQ, TA, where t is [B]; float32 on t's device.

    Unit-free: strength * weight / (size of that dimension's gradient here, as measured when the reward was trained) *
    (how far it can be trusted here). The size is a stored one: a sample whose gradient is small is shifted little, and no
    step lifts a gradient of noise to full size. A dimension that was not measured at this noise level does not count.

    Args:
        elements: numbers in one latent [C, T, H, W].

    Raises:
        GuidanceError: unit-free strength, and the latent reward was not measured.
    """
    row = settings.weight_row()
    if settings.mode == RAW:
        return settings.strength * t.new_tensor(row, dtype=torch.float32).expand(len(t), 3)
    if calibration is None:
        raise GuidanceError(
            "The latent reward model stores no gradient sizes, which unit-free strength divides by. Choose raw strength, or "
            "train it with calibration (videoalign train latent-reward)."
        )
    table = {value: _unit_free_row(value, elements, row, calibration) for value in set(t.tolist())}
    return settings.strength * t.new_tensor([table[value] for value in t.tolist()], dtype=torch.float32)


def _unit_free_row(t: float, elements: int, weights, calibration: Calibration) -> list[float]:
    made = []
    for name, weight in zip(DIMENSIONS, weights, strict=True):
        size = calibration.gradient_rms(name, t, elements)
        trust = min(calibration.confidence(name, t) / FULL_CONFIDENCE, 1.0)
        made.append(weight * trust / size if size > 0 else 0.0)
    return made
