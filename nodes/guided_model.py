"""A MODEL whose samplers Flow-NRG steers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ..errors import GuidanceError
from ..guidance.flow_nrg import FlowNRG
from ..guidance.strength import acts_at
from .comfy_compat import WrappersMP, model_management
from .guidance_trace import GuidanceTrace
from .latent_reward_handle import LatentRewardHandle
from .live_traces import LiveTraces
from .nested_latents import told_shapes, video_part, video_shape, with_video_part
from .reward_caption import RewardCaption
from .reward_conditioning import check_conditioning, chosen_cond, reward_conditioning
from .sampler_call import SamplerCall
from .sampling_path import FLOW, check_fits, path_of

if TYPE_CHECKING:
    import torch

    from .comfy_compat import ModelPatcher

_KEY = "videoalign.reward_guidance"


class Steering:
    """One node's guidance, for the one or two models that it steers (Wan 2.2's experts).

    It has no state of its own: a sampler call has its run, which ends with it, and what was recorded is kept by the samples
    that came out.

    Args:
        guidance: calls ``reward.rewards``.
        reward: the latent reward model.
        trace: whose traces they are.
        live: told what happens.
        start_percent, end_percent: part of the sampling that is guided, in ComfyUI's percent of the noise schedule.
        caption: what the reward is told of the prompt; None for what the sampler is told.
    """

    def __init__(
        self,
        guidance: FlowNRG,
        reward: LatentRewardHandle,
        trace: GuidanceTrace,
        live: LiveTraces,
        start_percent: float = 0.0,
        end_percent: float = 1.0,
        caption: RewardCaption | None = None,
    ) -> None:
        self.guidance = guidance
        self.reward = reward
        self.trace, self.live = trace, live
        self.start_percent, self.end_percent = start_percent, end_percent
        self.caption = caption
        self._call: ContextVar[SamplerCall | None] = ContextVar(_KEY, default=None)

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

        def outer_sample(
            executor,
            noise,
            latent_image,
            sampler,
            sigmas,
            denoise_mask=None,
            callback=None,
            *rest,
            seed=None,
            **further,
        ):
            seed = rest[1] if len(rest) > 1 else seed  # after disable_pbar
            network = executor.class_obj.model_patcher
            call = SamplerCall(self, network, noise, latent_image, sigmas, seed, further.get("latent_shapes"))
            if len(rest) < 2:
                further["seed"] = seed
            with self._during(call):
                return call.sample(
                    lambda seen: executor(noise, latent_image, sampler, sigmas, denoise_mask, seen, *rest, **further),
                    callback,
                )

        def sampler_sample(executor, guider, sigmas, *args, **kwargs):
            self.check_conditioning(
                guider.conds.get("positive"), guider.inner_model.model_sampling, sigmas[:-1].tolist()
            )
            return executor(guider, sigmas, *args, **kwargs)

        def prepare_sampling(executor, patcher, noise_shape, *args, **kwargs):
            prepared = executor(patcher, noise_shape, *args, **kwargs)
            call = self._call.get()
            shape = video_shape(noise_shape, call.shapes if call else None)
            _check_is_video(shape)
            self.reward.make_room(patcher, noise_shape, shape)
            return prepared

        def predict_noise(executor, x, timestep, *args, **kwargs):
            call = self._call.get()
            if call is None:
                return executor(x, timestep, *args, **kwargs)
            call.x_t = x
            predicted = executor(x, timestep, *args, **kwargs)
            call.evaluated(float(timestep.max()))
            return predicted

        clone = model.clone()
        clone.set_model_sampler_post_cfg_function(post_cfg)
        clone.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, _KEY, outer_sample)
        clone.add_wrapper_with_key(WrappersMP.SAMPLER_SAMPLE, _KEY, sampler_sample)
        clone.add_wrapper_with_key(WrappersMP.PREPARE_SAMPLING, _KEY, prepare_sampling)
        clone.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, _KEY, predict_noise)
        return clone

    def shifted(self, args: dict, name: str) -> torch.Tensor:
        """ComfyUI's ``denoised`` after classifier-free guidance, shifted; the same object where nothing is to be done.

        Raises:
            GuidanceError: see ``GuidedRun.shift_velocity``, ``chosen_cond``, ``path_of``.
        """
        x, sigma, denoised, sampling = args["input"], args["sigma"], args["denoised"], args["model"].model_sampling
        call = self._call.get()  # another pack's node may evaluate a model outside of any sampler
        if call is not None:
            call.asked = True
            if x is denoised and call.x_t is not None:  # ComfyUI-LTXVideo's Multimodal Guider tells it so
                x = call.x_t
        sigma = sigma.reshape(-1).expand(len(x)) if sigma.numel() == 1 else sigma.reshape(-1)
        level = float(sigma.max())
        if not self.guides(sampling, level):
            return denoised
        cond = chosen_cond(args["cond"], level)
        shapes = told_shapes(cond["model_conds"]) or (call.shapes if call else None)
        x_t, predicted = video_part(x, shapes), video_part(denoised, shapes)
        _check_is_video(x_t.shape)
        run = call.run if call else self.guidance.begin()
        shift = run.shift_denoised if path_of(sampling) == FLOW else run.shift_denoised_of_exploding
        shifted = shift(x_t, sigma, predicted, self._told(cond, len(x)), name)
        return denoised if shifted is predicted else with_video_part(denoised, shifted, shapes)

    def check_conditioning(self, conds, sampling, sigmas: list[float]) -> None:
        """Before the first step: whether the reward can be told what this sampler is told.

        Raises:
            GuidanceError: something is missing or of another family, with the remedy.
        """
        trunk, checked = self.reward.reward.trunk, []
        for sigma in sigmas:
            if not self.guides(sampling, sigma):
                continue
            cond = chosen_cond(conds, sigma)
            if all(cond is not one for one in checked):
                checked.append(cond)
                check_conditioning(self.reward.name, trunk, self._told(cond, 1), self.caption is not None)

    def guides(self, sampling, sigma: float) -> bool:
        """Whether ``sigma`` lies in the guided part."""
        start, end = (float(sampling.percent_to_sigma(percent)) for percent in (self.start_percent, self.end_percent))
        return acts_at(sigma, start, end)

    def _told(self, cond: Mapping[str, Any], batch: int) -> dict[str, torch.Tensor]:
        """What the reward is told of a conditioning."""
        conds = cond["model_conds"]
        conds = conds if self.caption is None else self.caption.instead_of(conds)
        return reward_conditioning(self.reward.reward.trunk.name, conds, batch)

    @contextlib.contextmanager
    def _during(self, call: SamplerCall) -> Iterator[None]:
        token = self._call.set(call)
        try:
            yield
        finally:
            self._call.reset(token)


def _check_is_video(shape: Sequence[int]) -> None:
    if len(shape) == 5:
        return
    raise GuidanceError(
        f"This sampler works on latents of the shape {list(shape)}; a latent reward judges videos, [batch, channels, frames, height, "
        "width]. Take the guidance node out, or use it with a video model's latent."
    )
