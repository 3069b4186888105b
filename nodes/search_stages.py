"""What an artist wires into *Search Seeds*, as the sampler calls that it stands for."""

from __future__ import annotations

from typing import Any

from ..errors import VideoAlignError
from .comfy_compat import cfg_guider, model_management, named_sampler, named_sigmas
from .seed_samplers import check_can_go_on, check_sampler
from .seed_takes import CONTINUE, Stage


def stages_of(
    model: Any, positive: Any, negative: Any, cfg: float, sampler_name: str, scheduler: str, steps: int, denoise: float,
    mode: str, sampler: Any = None, sigmas: Any = None, low_noise: Any = None, switch_step: int = 0,
) -> list[Stage]:  # fmt: skip
    """The calls of KSampler, of two KSampler (Advanced), or of SamplerCustomAdvanced.

    Args:
        model, low_noise: MODEL or GUIDER.
        sampler, sigmas: SAMPLER and SIGMAS in the place of what the names make.
        switch_step: from this step on ``low_noise`` samples.

    Raises:
        VideoAlignError: something is missing, or the sampler cannot be searched with.
    """
    guider = guider_of(model, positive, negative, cfg, "model")
    name = None if sampler is not None else sampler_name
    made = sampler if sampler is not None else named_sampler(sampler_name)
    if sigmas is None:
        sigmas = named_sigmas(guider.model_patcher, sampler_name, scheduler, steps, denoise)
    if len(sigmas) < 2:
        raise VideoAlignError("There are no steps to sample: give 1 or more, and a denoise above 0.")
    stage = Stage(guider, made, sigmas, name)
    check_sampler(stage.sampler_name)
    if mode == CONTINUE:
        check_can_go_on(stage.sampler_name, getattr(made, "extra_options", {}))
    if low_noise is None:
        return [stage]
    if not 1 <= switch_step < stage.steps:
        raise VideoAlignError(
            f"switch_step is {switch_step}: give the step from which low_noise samples, 1 to {stage.steps - 1}, as KSampler (Advanced)'s "
            "start_at_step; or take low_noise away."
        )
    second = guider_of(low_noise, positive, negative, cfg, "low_noise")
    return [
        Stage(guider, made, sigmas[: switch_step + 1], name),
        Stage(second, made if sampler is not None else named_sampler(sampler_name), sigmas[switch_step:], name),
    ]


def guider_of(model: Any, positive: Any, negative: Any, cfg: float, socket: str) -> Any:
    """A GUIDER as it is; of a MODEL the one that KSampler samples with.

    Raises:
        VideoAlignError: a MODEL without conditionings.
    """
    if not hasattr(model, "patches_uuid"):
        return model
    if positive is None or negative is None:
        missing = "positive" if positive is None else "negative"
        raise VideoAlignError(
            f"{socket} is a MODEL, so Search Seeds needs {missing}, as KSampler does. A GUIDER brings its own."
        )
    return cfg_guider(model, positive, negative, cfg)


def finished_dtype(model: Any, sampler: Any) -> Any:
    """KSampler gives ComfyUI's intermediate type, SamplerCustomAdvanced what the sampler made."""
    known = getattr(model_management, "intermediate_dtype", None)  # not in 0.3.64
    return known() if known and hasattr(model, "patches_uuid") and sampler is None else None
