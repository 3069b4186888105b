"""A MODEL whose samplers Flow-NRG steers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..guidance.flow_nrg import FlowNRG
from ..guidance.strength import acts_at
from .comfy_compat import WrappersMP, model_management
from .latent_reward_handle import LatentRewardHandle
from .reward_conditioning import chosen_cond, reward_conditioning
from .sampling_path import FLOW, check_fits, path_of

if TYPE_CHECKING:
    import torch

    from .comfy_compat import ModelPatcher

_KEY = "videoalign.reward_guidance"


class Steering:
    """One node's guidance, for the one or two models that it steers: Wan 2.2's experts share a run and its trace.

    Args:
        guidance: calls ``reward.rewards``.
        reward: the latent reward model.
        start_percent, end_percent: part of the sampling that is guided, in ComfyUI's percent of the noise schedule.
    """

    def __init__(
        self, guidance: FlowNRG, reward: LatentRewardHandle, start_percent: float = 0.0, end_percent: float = 1.0
    ) -> None:
        self.guidance = guidance
        self.reward = reward
        self.start_percent, self.end_percent = start_percent, end_percent

    def patched(self, model: ModelPatcher, name: str) -> ModelPatcher:
        """A clone of a model that is steered; ``name`` is its in the trace.

        ComfyUI copies what hangs on a model, deeply in 0.3.64: only functions, which are not copied, hang on it.

        Raises:
            GuidanceError: the reward does not fit the model's latents, or the model's sampling is of an unknown kind.
        """
        check_fits(self.reward.name, self.reward.latent_space, model.model.latent_format)
        path_of(model.get_model_object("model_sampling"))

        def post_cfg(args):
            model_management.throw_exception_if_processing_interrupted()
            return self.shifted(args, name)

        def outer_sample(executor, *args, **kwargs):
            sigmas = kwargs["sigmas"] if "sigmas" in kwargs else args[3]
            self.guidance.start_run(sigmas.tolist())
            samples = executor(*args, **kwargs)
            self.guidance.end_run(sigmas.tolist())
            return samples

        def prepare_sampling(executor, patcher, noise_shape, *args, **kwargs):
            prepared = executor(patcher, noise_shape, *args, **kwargs)
            self.reward.make_room(patcher, noise_shape)
            return prepared

        clone = model.clone()
        clone.set_model_sampler_post_cfg_function(post_cfg)
        clone.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, _KEY, outer_sample)
        clone.add_wrapper_with_key(WrappersMP.PREPARE_SAMPLING, _KEY, prepare_sampling)
        return clone

    def shifted(self, args: dict, name: str) -> torch.Tensor:
        """ComfyUI's ``denoised`` after classifier-free guidance, shifted; the same object where nothing is to be done.

        Raises:
            GuidanceError: see ``FlowNRG.shift_velocity``, ``chosen_cond``, ``path_of``.
        """
        x, sigma, denoised, model = args["input"], args["sigma"], args["denoised"], args["model"]
        sampling = model.model_sampling  # the one in use: other nodes may have replaced it after this one
        sigma = sigma.reshape(-1).expand(len(x)) if sigma.numel() == 1 else sigma.reshape(-1)
        level = float(sigma.max())
        if not self._guided(sampling, level):
            return denoised
        cond = chosen_cond(args["cond"], level)
        told = reward_conditioning(self.reward.reward.trunk.name, cond["model_conds"], len(x))
        flow = path_of(sampling) == FLOW
        shift = self.guidance.shift_denoised if flow else self.guidance.shift_denoised_of_exploding
        return shift(x, sigma, denoised, told, name)

    def _guided(self, sampling, sigma: float) -> bool:
        """Whether ``sigma`` lies in the guided part."""
        start, end = (float(sampling.percent_to_sigma(percent)) for percent in (self.start_percent, self.end_percent))
        return acts_at(sigma, start, end)
