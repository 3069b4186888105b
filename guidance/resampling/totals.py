"""The one number by which particles are compared: the weighted sum of a latent reward's dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from ...errors import GuidanceError
from ...reward.dimensions import DIMENSIONS
from ...reward.latent.calibration import Calibration
from ..settings import RAW
from ..strength import check_measured, trust
from .settings import ParticleSettings


class RewardTotal:
    """Weighted totals of noisy latents.

    Unit-free: each dimension less its mean, in standard deviations over clips, both as measured when the reward was trained, times how
    far it can be trusted at this noise level (as in guidance: ``strength.trust``), by weights with sum 1. Raw: rewards as they are, by
    weights as they were given.

    Args:
        reward: rewards(x_t [n, C, T, H, W], sigma [n], conditioning) -> [n, 3], VQ MQ TA.
        settings: weights and mode.
        calibration: what was measured of the reward; for the unit-free mode.

    Raises:
        GuidanceError: unit-free, and the reward was not measured in any dimension that has a weight.
    """

    def __init__(
        self,
        reward: Callable[[Tensor, Tensor, Mapping[str, Tensor]], Tensor],
        settings: ParticleSettings,
        calibration: Calibration | None = None,
    ) -> None:
        self.reward, self.settings, self.calibration = reward, settings, calibration
        if settings.mode == RAW:
            return
        if calibration is None:
            raise GuidanceError(
                "The latent reward model stores no mean and spread of its rewards, which the unit-free mode counts in. Choose raw, or "
                "train it with calibration (videoalign train latent-reward)."
            )
        check_measured(settings, calibration)

    @torch.no_grad()
    def __call__(self, x_t: Tensor, sigma: float, conditioning: Mapping[str, Tensor]) -> np.ndarray:
        """[n] float64.

        Args:
            x_t: [n, C, T, H, W] at noise level ``sigma`` of the flow, 0 clean to 1 noise.
            conditioning: of these n.

        Raises:
            GuidanceError: a reward is not finite.
        """
        rewards = self.reward(x_t.float(), x_t.new_full((len(x_t),), sigma, dtype=torch.float32), conditioning)
        values = rewards.double().cpu().numpy()
        if not np.isfinite(values).all():
            what = "latent" if not torch.isfinite(x_t).all() else "latent reward model's judgement"
            raise GuidanceError(
                f"The {what} is not finite at sigma {sigma:.4f}. Sample without the search to see whether the model is fine alone, and load "
                "the latent reward with dtype float32."
            )
        return self._in_units(values, sigma) @ np.array(self.settings.weight_row())

    def _in_units(self, values: np.ndarray, sigma: float) -> np.ndarray:
        calibration = self.calibration
        if self.settings.mode == RAW or calibration is None:
            return values
        made = np.zeros_like(values)
        for index, name in enumerate(DIMENSIONS):
            if calibration.is_measured(name) and calibration.std[name] > 0:
                unit = (values[:, index] - calibration.mean[name]) / calibration.std[name]
                made[:, index] = unit * trust(name, sigma, calibration)
        return made
