"""Guidance in a diffusers pipeline.

Pipelines call their scheduler's ``step`` with the model's output after classifier-free guidance: the place where the shift
belongs, and the same in every pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import GuidanceError

if TYPE_CHECKING:
    import torch

    from .flow_nrg import Conditioning, FlowNRG, GuidedRun


@contextmanager
def guided_scheduler(
    scheduler: Any,
    guidance: FlowNRG,
    conditioning: Conditioning,
    unpack: Callable[[torch.Tensor], torch.Tensor] | None = None,
    pack: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> Iterator[GuidedRun]:
    """Guide whatever this scheduler steps, inside a ``with``::

        with guided_scheduler(pipeline.scheduler, guidance, {"text": prompt_embeds}) as run:
            clip = pipeline(prompt_embeds=prompt_embeds, ...)
        run.trace.points

    Args:
        scheduler: a diffusers flow-matching scheduler (FlowMatchEuler, UniPC with flow sigmas, ...) whose model output is
            the velocity.
        guidance: a run of it begins here.
        conditioning: for the reward; one row, or one for each sample.
        unpack, pack: from the pipeline's latents to [B, C, T, H, W] and back, where it samples tokens (LTX-Video).

    Yields:
        The run, with its trace.

    Raises:
        GuidanceError: the scheduler is not of the flow kind.
    """
    config = scheduler.config
    kind = type(scheduler).__name__
    if not (kind.startswith("FlowMatch") or getattr(config, "use_flow_sigmas", False)):
        raise GuidanceError(
            f"{kind} does not follow a rectified flow. Flow-NRG guides flow models: use a FlowMatch scheduler, or one with "
            "use_flow_sigmas."
        )
    plain_step = scheduler.step
    run = guidance.begin()

    def step(model_output, timestep, sample, *arguments, **options):
        index = scheduler.step_index
        if index is None:
            index = scheduler.index_for_timestep(timestep)
        run.trace.sigmas = tuple(scheduler.sigmas.tolist())  # the pipeline sets it
        x_t, v = (sample, model_output) if unpack is None else (unpack(sample), unpack(model_output))
        sigma = scheduler.sigmas[index].to(x_t.device).float().expand(len(x_t))
        told = {name: value.expand(len(x_t), *value.shape[1:]).to(x_t.device) for name, value in conditioning.items()}
        shifted = run.shift_velocity(x_t, sigma, v, told)
        if shifted is not v:
            model_output = shifted if pack is None else pack(shifted)
        return plain_step(model_output, timestep, sample, *arguments, **options)

    scheduler.step = step
    try:
        yield run
    finally:
        del scheduler.step
