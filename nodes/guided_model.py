"""A MODEL whose samplers Flow-NRG steers."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from ..guidance.flow_nrg import FlowNRG, GuidedRun
from ..guidance.strength import acts_at
from .comfy_compat import WrappersMP, model_management
from .guidance_trace import RECORDS, GuidanceTrace
from .latent_reward_handle import LatentRewardHandle
from .live_traces import LiveTraces
from .reward_conditioning import check_conditioning, chosen_cond, reward_conditioning
from .run_records import RunRecord
from .sampling_path import FLOW, check_fits, in_flow, path_of

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
    """

    def __init__(
        self,
        guidance: FlowNRG,
        reward: LatentRewardHandle,
        trace: GuidanceTrace,
        live: LiveTraces,
        start_percent: float = 0.0,
        end_percent: float = 1.0,
    ) -> None:
        self.guidance = guidance
        self.reward = reward
        self.trace, self.live = trace, live
        self.start_percent, self.end_percent = start_percent, end_percent
        self._run: ContextVar[GuidedRun | None] = ContextVar(_KEY, default=None)

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
            call = SamplerCall(self, network, noise, latent_image, sigmas, seed)
            if len(rest) < 2:
                further["seed"] = seed
            return call.run(
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
            self.reward.make_room(patcher, noise_shape)
            return prepared

        clone = model.clone()
        clone.set_model_sampler_post_cfg_function(post_cfg)
        clone.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, _KEY, outer_sample)
        clone.add_wrapper_with_key(WrappersMP.SAMPLER_SAMPLE, _KEY, sampler_sample)
        clone.add_wrapper_with_key(WrappersMP.PREPARE_SAMPLING, _KEY, prepare_sampling)
        return clone

    def shifted(self, args: dict, name: str) -> torch.Tensor:
        """ComfyUI's ``denoised`` after classifier-free guidance, shifted; the same object where nothing is to be done.

        Raises:
            GuidanceError: see ``GuidedRun.shift_velocity``, ``chosen_cond``, ``path_of``.
        """
        x, sigma, denoised, model = args["input"], args["sigma"], args["denoised"], args["model"]
        sampling = model.model_sampling  # the one in use: other nodes may have replaced it after this one
        sigma = sigma.reshape(-1).expand(len(x)) if sigma.numel() == 1 else sigma.reshape(-1)
        level = float(sigma.max())
        if not self._guided(sampling, level):
            return denoised
        cond = chosen_cond(args["cond"], level)
        told = reward_conditioning(self.reward.reward.trunk.name, cond["model_conds"], len(x))
        run = (
            self._run.get() or self.guidance.begin()
        )  # another pack's node may evaluate a model outside of any sampler
        shift = run.shift_denoised if path_of(sampling) == FLOW else run.shift_denoised_of_exploding
        return shift(x, sigma, denoised, told, name)

    def check_conditioning(self, conds, sampling, sigmas: list[float]) -> None:
        """Before the first step: whether the reward can be told what this sampler is told.

        Raises:
            GuidanceError: something is missing or of another family, with the remedy.
        """
        trunk, checked = self.reward.reward.trunk, []
        for sigma in sigmas:
            if not self._guided(sampling, sigma):
                continue
            cond = chosen_cond(conds, sigma)
            if all(cond is not one for one in checked):
                checked.append(cond)
                check_conditioning(self.reward.name, trunk, reward_conditioning(trunk.name, cond["model_conds"], 1))

    def _guided(self, sampling, sigma: float) -> bool:
        """Whether ``sigma`` lies in the guided part."""
        start, end = (float(sampling.percent_to_sigma(percent)) for percent in (self.start_percent, self.end_percent))
        return acts_at(sigma, start, end)


class SamplerCall:
    """One call of one sampler with a steered model: its run, told live and kept by the samples that it gives.

    Args:
        steering: of the guidance node.
        patcher: the model that samples.
        noise, latent_image: [B, C, T, H, W], the noise that is added and the latent that it is added to.
        sigmas: the schedule.
        seed: of the noise.
    """

    def __init__(
        self, steering: Steering, patcher: ModelPatcher, noise, latent_image, sigmas, seed: int | None
    ) -> None:
        self.steering, self.patcher = steering, patcher
        self.sigmas = tuple(sigmas.tolist())
        self.seed = seed
        self.before: RunRecord | None = None
        self.begins_late = False
        sampling = patcher.get_model_object("model_sampling")
        if not noise.any():  # a latent that is still noisy is sampled on
            known = RECORDS.find(steering.trace.steered_by, latent_image)
            self.before = known if known is not None and known.can_go_on(self.sigmas) else None
            # Some schedules begin a rounding below the largest noise level.
            self.begins_late = self.before is None and self.sigmas[0] < float(sampling.sigma_max) * (1 - 1e-3)
        self.path = path_of(sampling)

    def run(self, execute, callback) -> torch.Tensor:
        """Sample; ``execute(callback)`` is the sampler. Returns its samples."""
        steering, trace, live = self.steering, self.steering.trace, self.steering.live
        number = live.next_run(trace.node)
        parts = self.before.parts() if self.before else []
        earlier = trace.points_of(self.before) if self.before else []
        passed = sum(len(part.sigmas) - 1 for part in parts)
        last = {}

        def seen(step, x0, *rest):
            last["x0"] = x0
            if callback is not None:
                callback(step, x0, *rest)

        def told(index, point):
            live.point(trace.node, number, len(earlier) + index, trace.shown(point, passed))

        run = steering.guidance.begin(in_flow(self.sigmas, self.path), told)
        live.begin(trace.node, number, self.seed, passed + len(self.sigmas) - 1, earlier)
        token, ended = steering._run.set(run), "failed"
        try:
            samples = execute(seen)
            ended = "done"
        except model_management.InterruptProcessingException:
            ended = "stopped"
            raise
        finally:
            steering._run.reset(token)
            live.end(trace.node, number, ended)
        record = RunRecord(number, self.seed, self.sigmas, tuple(run.trace.points), self.before, self.begins_late)
        RECORDS.keep(trace.steered_by, samples, record)
        if "x0" in last:  # what SamplerCustomAdvanced gives as denoised_output
            RECORDS.keep(trace.steered_by, self.patcher.model.process_latent_out(last["x0"].cpu()), record)
        return samples
