"""A SAMPLER of ComfyUI that samples with particles (RGRP, Feynman-Kac steering)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import GuidanceError
from ..guidance.resampling.settings import ParticleSettings
from .comfy_compat import model_management, sampler_of
from .latent_reward_handle import LatentRewardHandle
from .particle_rows import whole_batches
from .reward_conditioning import check_conditioning, chosen_cond, reward_conditioning
from .sampling_path import FLOW, check_fits, path_of

if TYPE_CHECKING:
    import numpy as np
    import torch

LOG = logging.getLogger(__name__)


class ParticleSampler:
    """What one node gives; it has no state, each call of the sampler has its own ``ParticleCall``.

    Args:
        name: the node's.
        reward: the latent reward model.
        settings: method and options.

    Raises:
        GuidanceError: unit-free, and the reward was not measured.
    """

    def __init__(self, name: str, reward: LatentRewardHandle, settings: ParticleSettings) -> None:
        from ..guidance.resampling.totals import RewardTotal

        self.name, self.reward, self.settings = name, reward, settings
        self.total = RewardTotal(reward.rewards, settings, reward.calibration)

    def sampler(self) -> Any:
        """For a SAMPLER wire."""

        def sample_particles(model, x, sigmas, extra_args=None, callback=None, disable=None):
            return ParticleCall(self, model, x, sigmas, dict(extra_args or {}), callback).run(disable)

        return sampler_of(sample_particles)


class ParticleCall:
    """One call of the sampler: each row of the batch is a search of its own.

    Args:
        of: the node's.
        model: ComfyUI's, model(x, sigma, **extra_args) -> denoised; leads to the guider and its conditioning.
        x: [B, C, T, H, W] at the first noise level.
        sigmas: [steps + 1], falling.
        callback: told after each step, of the particle that leads.

    Attributes:
        evaluations: of the model so far, a latent each.

    Raises:
        GuidanceError: the model or its latents do not fit, or the reward cannot be told what it needs.
    """

    def __init__(
        self, of: ParticleSampler, model, x: torch.Tensor, sigmas: torch.Tensor, extra: dict, callback
    ) -> None:
        self.of, self.model, self.x, self.sigmas, self.extra, self.callback = of, model, x, sigmas, extra, callback
        self.levels = tuple(sigmas.tolist())
        self.evaluations = 0
        self.guider = model.inner_model
        if path_of(self.guider.inner_model.model_sampling) != FLOW or x.ndim != 5:
            raise GuidanceError(
                f"{of.name} is for rectified-flow models of plain video latents (Wan, HunyuanVideo, LTX-Video, LTX-2 without sound); this model samples otherwise. "
                "Take another sampler."
            )
        check_fits(of.reward.name, of.reward.latent_space, self.guider.inner_model.latent_format)
        trunk = of.reward.reward.trunk
        for step in of.settings.look_steps(len(self.levels) - 1):
            cond = chosen_cond(self.guider.conds.get("positive"), self.levels[step])
            check_conditioning(of.reward.name, trunk, reward_conditioning(trunk.name, cond["model_conds"], 1))

    def run(self, disable: bool | None) -> torch.Tensor:
        """[B, C, T, H, W]: a clip of each row."""
        from tqdm.auto import tqdm

        from ..guidance.resampling.particles import Run
        from ..guidance.resampling.sampling import sample_particles

        steps, settings = len(self.levels) - 1, self.of.settings
        if settings.count > 1:
            self.of.reward.make_room(self.guider.model_patcher, self.x.shape, self.x.shape)
        # A mask and the latent under it are as long as the batch; of several clips they cannot be laid beside more rows.
        alone = self.extra.get("denoise_mask") is not None and len(self.x) > 1
        keys = [(self.extra.get("seed"), row) for row in range(len(self.x))]
        with tqdm(total=steps, disable=disable) as bar:

            def seen(done, x, clean):
                self.told(done - 1, x, clean)
                bar.update()

            run = Run(self.predict, self.total, self.levels, keys, 1 if alone else settings.at_once, seen)
            samples = sample_particles(run, self.x, self.model.noise, settings).samples
        LOG.info("%s: %.2f runs of the model for each clip.", self.of.name, self.evaluations / (steps * len(self.x)))
        return samples

    def predict(self, x: torch.Tensor, sigma: float, rows: Sequence[int]) -> torch.Tensor:
        """The velocity of particles of these rows.

        ComfyUI's conditioning, masks and images are those of the whole batch, in its order, so that is what the model gets.
        """
        from ..backbones.flow_path import x0_to_velocity

        model_management.throw_exception_if_processing_interrupted()
        source, places = whole_batches(rows, len(self.x))
        whole = x if source == list(range(len(x))) else x[source]
        self.evaluations += len(whole)
        level = whole.new_full((len(whole),), sigma)
        velocity = x0_to_velocity(self.model(whole, level, **self.extra), whole, level)
        return velocity if whole is x else velocity[places]

    def total(self, x: torch.Tensor, sigma: float, rows: Sequence[int]) -> np.ndarray:
        """The reward's totals of particles of these rows."""
        from ..backbones.conditioning import rows_of
        from ..backbones.given_frames import NOISE_MASK, with_clean

        model_management.throw_exception_if_processing_interrupted()
        cond = chosen_cond(self.guider.conds.get("positive"), sigma)
        told = rows_of(reward_conditioning(self.of.reward.reward.trunk.name, cond["model_conds"], len(self.x)), rows)
        if NOISE_MASK in told:  # the model sees the latent under the mask, and so does the reward
            clean = self.model.latent_image.expand_as(self.x)[list(rows)]
            x = with_clean(x, clean, told)
        return self.of.total(x, sigma, told)

    def told(self, step: int, x: torch.Tensor, clean: torch.Tensor) -> None:
        """Show a step, as k-diffusion's samplers do."""
        if self.callback is not None:
            sigma = self.sigmas[step]
            self.callback({"x": x, "i": step, "sigma": sigma, "sigma_hat": sigma, "denoised": clean})
