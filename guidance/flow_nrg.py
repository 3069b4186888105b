"""Flow-NRG: shift what a flow model predicts along the gradient of a reward (paper, Eq. 11 = 22).

On the path of ``backbones/flow_path.py`` and with R = sum_i c_i r_i(x_t, sigma, condition) the three forms of one shift are

    v~  = v  - f(sigma) grad R
    x0~ = x0 + sigma f(sigma) grad R            what a ComfyUI sampler sees: ``denoised``
    x1~ = x1 - (1 - sigma) f(sigma) grad R

with f(sigma) = sigma / (1 - sigma) in the paper, which calls sigma t. The gradient goes through the reward model
only, never through the generator, and the shift comes after classifier-free guidance.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from ..backbones.flow_path import (
    SAME_SIGMA,
    exploding_to_flow,
    over,
    velocity_to_x0,
    velocity_to_x1,
    x0_to_velocity,
    x1_to_velocity,
)
from ..errors import GuidanceError
from ..reward.dimensions import DIMENSIONS
from .settings import GuidanceSettings
from .strength import acts_at, coefficients, factor
from .trace import RewardTrace, TracePoint

if TYPE_CHECKING:
    from ..reward.latent.calibration import Calibration

Conditioning = Mapping[str, torch.Tensor]
# From here on it is sigma = 1, where no shift is defined: LTX-Video's schedule begins one rounding below 1, where
# sigma / (1 - sigma) = 1.7e7.
_NOISE = 1 - 1e-6


class FlowNRG:
    """What steers: a reward, its settings, its calibration. It has no state; each sampling run has its own ``GuidedRun``.

    In a plain loop::

        run = FlowNRG(latent_reward.rewards, GuidanceSettings({"MQ": 1.0}), latent_reward.calibration).begin(sigmas)
        for sigma, following in zip(sigmas, sigmas[1:]):
            v = model(x, sigma)                                            # after classifier-free guidance
            v = run.shift_velocity(x, sigma.expand(len(x)), v, conditioning)
            x = x + (following - sigma) * v

    ``run.hook(conditioning)`` is the same as a function of (x_t, sigma, v), and ``guided_scheduler`` brings it into a
    diffusers pipeline.

    Args:
        reward: rewards(x_t [B, C, T, H, W], sigma [B], conditioning) -> [B, 3], VQ MQ TA, differentiable in x_t. Each row
            may depend on the latent of its sample only. One that takes ``counted``, as ``LatentReward.rewards``, is told the
            dimensions that have a weight.
        settings: weights, strength, window.
        calibration: how large the reward's gradients are and how right it is, by noise level; for unit-free strength.

    Raises:
        GuidanceError: settings that cannot be used with this calibration, before anything is sampled.
    """

    def __init__(
        self,
        reward: Callable[[torch.Tensor, torch.Tensor, Conditioning], torch.Tensor],
        settings: GuidanceSettings,
        calibration: Calibration | None = None,
    ) -> None:
        self.reward = reward
        self.settings = settings
        self.calibration = calibration
        self._takes_counted = "counted" in inspect.signature(reward).parameters
        if settings.strength:
            coefficients(torch.tensor([0.5]), 1, settings, calibration)

    def counted(self, steer: bool) -> dict[str, frozenset[str]]:
        """What a reward that takes ``counted`` is told: the dimensions that have a weight, none where nothing is steered."""
        if not self._takes_counted:
            return {}
        row = zip(DIMENSIONS, self.settings.weight_row(), strict=True)
        return {"counted": frozenset(name for name, weight in row if weight and steer)}

    def begin(
        self, sigmas: Sequence[float] = (), listener: Callable[[int, TracePoint], None] | None = None
    ) -> GuidedRun:
        """A run: one call of one sampler. Where a second sampler goes on (two experts, a split schedule), that is its own run.

        So what a run does depends on its arguments alone, never on what was sampled before. With ``every`` above 1 the
        gradient is measured at the first noise level that the run guides, and at every n-th one after it.

        Args:
            sigmas: the sampler's schedule, falling; for the places of the trace's points in it.
            listener: called as ``listener(index, point)`` with each point of the trace when it comes.
        """
        return GuidedRun(self, RewardTrace(tuple(map(float, sigmas)), listener))


class GuidedRun:
    """One sampling run, with any sampler that calls a model; made by ``FlowNRG.begin``.

    Attributes:
        guidance: what steers it.
        trace: what was seen and done.
    """

    def __init__(self, guidance: FlowNRG, trace: RewardTrace) -> None:
        self.guidance = guidance
        self.trace = trace
        self._levels: list[float] = []
        self._kept: torch.Tensor | None = None

    def shift_velocity(
        self, x_t: torch.Tensor, sigma: torch.Tensor, v: torch.Tensor, conditioning: Conditioning, model: str = "model"
    ) -> torch.Tensor:
        """v~ = v - f(sigma) grad R.

        Args:
            x_t: the noisy latent, [B, C, T, H, W].
            sigma: noise level of each sample, [B], 0 clean to 1 noise.
            v: the model's velocity after classifier-free guidance.
            conditioning: what the reward is told beside x_t; first dimension B.
            model: name for the trace, where one run uses two models.

        Returns:
            Like ``v``; the very same object where nothing is to be shifted.

        Raises:
            GuidanceError: the reward, its gradient or x_t is not finite.
        """
        shift = self._shift(x_t, sigma, v.float(), conditioning, model)
        return v if shift is None else (v.float() + shift).to(v.dtype)

    def shift_denoised(
        self,
        x_t: torch.Tensor,
        sigma: torch.Tensor,
        denoised: torch.Tensor,
        conditioning: Conditioning,
        model: str = "model",
    ) -> torch.Tensor:
        """x0~ = x0 + sigma f(sigma) grad R; arguments as ``shift_velocity``."""
        v = x0_to_velocity(denoised.float(), x_t.float(), sigma)
        shift = self._shift(x_t, sigma, v, conditioning, model)
        return denoised if shift is None else velocity_to_x0(shift, denoised.float(), sigma).to(denoised.dtype)

    def shift_noise(
        self,
        x_t: torch.Tensor,
        sigma: torch.Tensor,
        noise: torch.Tensor,
        conditioning: Conditioning,
        model: str = "model",
    ) -> torch.Tensor:
        """x1~ = x1 - (1 - sigma) f(sigma) grad R; arguments as ``shift_velocity``.

        At sigma = 1, x1 says nothing about v: unshifted.
        """
        v = x1_to_velocity(noise.float(), x_t.float(), sigma)
        shift = self._shift(x_t, sigma, v, conditioning, model)
        return noise if shift is None else velocity_to_x1(shift, noise.float(), sigma).to(noise.dtype)

    def shift_denoised_of_exploding(
        self,
        x: torch.Tensor,
        sigma: torch.Tensor,
        denoised: torch.Tensor,
        conditioning: Conditioning,
        model: str = "model",
    ) -> torch.Tensor:
        """The shift for x = x0 + sigma n (EPS and V models), sigma from 0 to infinity: x0~ = x0 + w sigma^2 grad_x R.

        The reward knows the flow path only, which this is in another scale (``exploding_to_flow``): with s and x_t on the
        flow, its shift of x0, w s^2 / (1 - s) grad_{x_t} R, is w sigma^2 grad_x R.
        """
        x_t, sigma = exploding_to_flow(x.float(), sigma.float())
        return self.shift_denoised(x_t, sigma, denoised, conditioning, model)

    def hook(self, conditioning: Conditioning) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]:
        """``shift_velocity`` as a function of (x_t, sigma [B], v), for samplers that take a guidance hook."""
        return lambda x_t, sigma, v: self.shift_velocity(x_t, sigma, v, conditioning)

    def _shift(self, x_t, sigma, v, conditioning, model) -> torch.Tensor | None:
        """The shift of the velocity, float32, or None where there is none."""
        settings = self.guidance.settings
        sigma = sigma.float()
        guided = (sigma > 0) & (sigma < _NOISE) & acts_at(sigma, settings.start_sigma, settings.end_sigma)
        if not guided.any():
            return None
        began = time.perf_counter()
        level = self._level(float(sigma.max()))
        reused = bool(
            settings.strength and level % settings.every and self._kept is not None and self._kept.shape == x_t.shape
        )
        rows = None
        if reused:
            direction = self._kept
        else:
            rows, direction = self._measure(x_t, sigma, conditioning)
            self._kept = direction if settings.every > 1 else None
        if direction is None:
            ratio, cut, shift = torch.zeros_like(sigma), torch.zeros_like(guided), None
        else:
            shift = torch.where(over(guided, x_t), -over(factor(sigma, settings), x_t) * direction, 0.0)
            shift, ratio, cut = _capped(shift, v, settings.cap)
            self._check_shift(ratio, v, sigma)
        self._record(sigma, rows, ratio, cut, time.perf_counter() - began, reused, model)
        return shift

    def _level(self, sigma: float) -> int:
        """Which noise level of the run this is: heun and others evaluate one twice, and call between the steps."""
        for index in range(len(self._levels) - 1, -1, -1):
            if math.isclose(self._levels[index], sigma, rel_tol=SAME_SIGMA):
                return index
        self._levels.append(sigma)
        return len(self._levels) - 1

    def _measure(self, x_t, sigma, conditioning) -> tuple[list[list[float]], torch.Tensor | None]:
        """Rewards [B][3] and grad sum_i c_i r_i, None at strength 0.

        Samplers run under inference mode, whose tensors autograd cannot save: the inputs become copies of another kind.
        """
        guidance = self.guidance
        steer = guidance.settings.strength > 0
        with torch.inference_mode(False), torch.set_grad_enabled(steer):
            leaf = x_t.detach().clone().float().requires_grad_(steer)
            told = {name: _plain(value) for name, value in conditioning.items()}
            rewards = guidance.reward(leaf, _plain(sigma), told, **guidance.counted(steer)).float()
            if rewards.shape != (len(leaf), len(DIMENSIONS)):
                raise GuidanceError(
                    f"The reward gave numbers of shape {tuple(rewards.shape)}; {(len(leaf), len(DIMENSIONS))} was expected: VQ, MQ "
                    "and TA for each clip."
                )
            rows = rewards.detach().cpu().tolist()
            self._check(rows, x_t, sigma)
            if not steer:
                return rows, None
            weights = coefficients(sigma.detach().cpu(), leaf[0].numel(), guidance.settings, guidance.calibration)
            (direction,) = torch.autograd.grad((weights.to(rewards) * rewards).sum(), leaf)
        return rows, direction

    @staticmethod
    def _check(rows: list[list[float]], x_t: torch.Tensor, sigma: torch.Tensor) -> None:
        bad = [
            (name, row[index]) for row in rows for index, name in enumerate(DIMENSIONS) if not math.isfinite(row[index])
        ]
        if not bad:
            return
        where = f"at sigma {float(sigma.max()):.4f}"
        if not torch.isfinite(x_t).all():
            raise GuidanceError(
                f"The latent is not finite {where}, before guidance touched it there. Check the model and the sampler without "
                "guidance; if they are fine alone, lower the strength or set a cap."
            )
        name, value = bad[0]
        raise GuidanceError(
            f"The latent reward model gave {name} = {value} {where}. Load it with dtype float32; if that does not help, its file "
            "is damaged: train or convert it again."
        )

    @staticmethod
    def _check_shift(ratio: torch.Tensor, v: torch.Tensor, sigma: torch.Tensor) -> None:
        if torch.isfinite(ratio).all():
            return
        where = f"at sigma {float(sigma.max()):.4f}"
        if not torch.isfinite(v).all():
            raise GuidanceError(f"The model's own prediction is not finite {where}; guidance has not touched it yet.")
        raise GuidanceError(
            f"The latent reward model's gradient is not finite {where}. Load it with dtype float32; if that does not help, its "
            "file is damaged: train or convert it again."
        )

    def _record(self, sigma, rows, ratio, cut, seconds, reused, model) -> None:
        mean_ratio = float(ratio.mean())
        samples = None if rows is None else tuple(tuple(row) for row in rows)
        level = float(sigma.max())
        step = self.trace.step_of(level)
        self.trace.add(TracePoint(level, samples, mean_ratio, seconds, reused, bool(cut.any()), model, step))


def _capped(shift, v, cap) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Trust region, by sample: the shift, its ||shift|| / ||v||, and whether it was cut."""
    length = v.flatten(1).norm(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
    ratio = shift.flatten(1).norm(dim=1) / length
    if cap is None:
        return shift, ratio, torch.zeros_like(ratio, dtype=torch.bool)
    cut = ratio > cap
    scale = torch.where(cut, cap / ratio, 1.0)
    return shift * over(scale, shift), ratio * scale, cut


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, or a copy that autograd can save."""
    return tensor.clone() if tensor.is_inference() else tensor.detach()
