"""One seed's way to a clip through ComfyUI's samplers, which can be stopped at a step, looked at, and finished.

A take is stopped by an exception in the sampler's callback, never by a shorter schedule: some samplers look at the schedule's end, or draw
their noise over its whole length, and would draft another clip than they finish (dpmpp_sde, dpmpp_2m_sde, dpmpp_3m_sde, heunpp2).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import ClipError, VideoAlignError
from .comfy_compat import fitting_latent, model_management, seeded_noise
from .content_key import content_key, guider_key
from .guider_watch import GuiderWatch, Seen, no_noise
from .nested_latents import joined, parts, video_part
from .seed_samplers import evaluations, sampler_name

if TYPE_CHECKING:
    import torch

REPLAY, CONTINUE = "replay", "continue"


class LookedError(model_management.InterruptProcessingException):
    """Ends a draft when its clean clip is known. An interrupt, since that is what samplers and other packs' patches let pass."""


@dataclass(frozen=True)
class Stage:
    """One sampler call: all steps of a clip, or those of one of two experts.

    Attributes:
        guider: GUIDER.
        sampler: SAMPLER.
        sigmas: the noise levels of its steps and of their end, [steps + 1].
        name: of the sampler, where it was chosen by name.
    """

    guider: Any
    sampler: Any
    sigmas: torch.Tensor
    name: str | None = None

    @property
    def steps(self) -> int:
        """How many."""
        return len(self.sigmas) - 1

    @property
    def sampler_name(self) -> str:
        """As KSampler calls it."""
        return self.name or sampler_name(self.sampler)

    def key(self) -> str:
        """Of all that its samples depend on but latent and seed."""
        sampler = self.name or [getattr(self.sampler, "sampler_function", self.sampler), vars(self.sampler)]
        return content_key(guider_key(self.guider), sampler, self.sigmas)


@dataclass(frozen=True)
class Segment:
    """Steps ``first`` to ``last`` of a stage, in one call.

    Attributes:
        stopped: it is left in its last step, as soon as the clean clip is known.
        to_zero: it ends the clip.
    """

    stage: Stage
    first: int
    last: int
    stopped: bool
    to_zero: bool

    @property
    def sigmas(self) -> torch.Tensor:
        """The schedule of the call; a call that is stopped has all of the stage's."""
        return self.stage.sigmas[self.first : None if self.stopped else self.last + 1]


class SeedSampling:
    """What all takes share.

    Args:
        stages: sampler calls in turn, as KSampler (Advanced) or SamplerCustomAdvanced would make them.
        latent: LATENT of one clip.
        mode: ``REPLAY``, or ``CONTINUE``.
        finished_dtype: of the samples that a call gives; None leaves it, as SamplerCustomAdvanced does.
        told: called after each step that was done, with the clean latent in the network's unit.

    Attributes:
        steps: of a clip.
        evaluated: how often the model was asked so far, classifier-free guidance counted as once.

    Raises:
        VideoAlignError: the latent holds several clips.
    """

    def __init__(
        self, stages: Sequence[Stage], latent: dict, mode: str = REPLAY, finished_dtype: Any = None,
        told: Callable[[Any], None] = lambda x0: None,
    ) -> None:  # fmt: skip
        self.stages, self.latent, self.mode = tuple(stages), dict(latent), mode
        self.finished_dtype, self.told = finished_dtype, told
        self.steps = sum(stage.steps for stage in stages)
        self.evaluated = 0
        self.samples = fitting_latent(stages[0].guider.model_patcher, latent)
        clips = len(video_part(self.samples))
        if clips != 1:
            raise VideoAlignError(
                f"The latent holds {clips} clips, and a take is one. Set its batch_size to 1: 'seeds' says how many are tried."
            )

    def key(self) -> str:
        """Of all that a take's samples depend on but its seed."""
        about = {name: value for name, value in self.latent.items() if name != "samples"}
        return content_key([stage.key() for stage in self.stages], self.samples, about, self.mode)

    def begin(self, seed: int) -> SeedTake:
        """A take that has not begun."""
        return SeedTake(self, seed)

    def segments(self, after: int, until: int) -> Iterator[Segment]:
        """The calls between two steps of a clip."""
        begin = 0
        for stage in self.stages:
            first, last = max(after, begin), min(until, begin + stage.steps)
            if last > first:
                stopped = self.mode == REPLAY and last == until < self.steps
                yield Segment(stage, first - begin, last - begin, stopped, last == self.steps)
            begin += stage.steps

    def work(self, until: int, after: int = 0) -> int:
        """How often the model is asked between two steps, by what is known of the samplers."""
        return sum(
            evaluations(part.stage.sampler_name, part.last - part.first, part.stopped, part.to_zero)
            for part in self.segments(after, until)
        )

    def output(self, samples: Sequence[Any]) -> dict:
        """A LATENT of finished clips, with what the sampler nodes leave in it."""
        import torch

        out = {name: value for name, value in self.latent.items() if not name.startswith("downscale_ratio_")}
        if len(samples) > 1:
            out.pop("batch_index", None)  # it is of one
        streams = [torch.cat(stream) for stream in zip(*map(parts, samples), strict=True)]
        return out | {"samples": samples[0] if len(samples) == 1 else joined(samples[0], streams)}


class SeedTake:
    """One seed; see ``reward.search.seed_search.Take``.

    Attributes:
        step: steps that are done.
        seen: what it was at its last look.
        samples: of the finished clip; None before.
    """

    def __init__(self, sampling: SeedSampling, seed: int) -> None:
        self.sampling, self.seed, self.step = sampling, seed, 0
        self.seen: Seen | None = None
        self.samples: Any = None
        self._held: Any = None

    def go(self, until: int | None = None) -> SeedTake:
        """Sample up to a step, to the end by default: anew from the seed, or from where it was stopped (``CONTINUE``)."""
        sampling = self.sampling
        until = sampling.steps if until is None else until
        after, samples = (0, sampling.samples) if self._held is None else (self.step, self._held)
        if self.samples is not None or until == after:
            return self
        for part in sampling.segments(after, until):
            samples = self._sampled(part, samples, fresh=part.first == 0 and part.stage is sampling.stages[0])
        self.step = until
        if until == sampling.steps:
            self.samples, self._held = _finite(samples, self.seed), None
        elif sampling.mode == CONTINUE:
            self._held = samples
        return self

    def _sampled(self, part: Segment, samples: Any, fresh: bool) -> Any:
        """What a call makes of samples; None where it was stopped."""
        sampling, sigmas = self.sampling, part.sigmas
        guider = copy.copy(part.stage.guider)  # what a run leaves in it goes with it
        watch = GuiderWatch(guider)
        noise = seeded_noise(samples, self.seed, sampling.latent.get("batch_index")) if fresh else no_noise(samples)

        def callback(step, x0, x, total_steps):
            model_management.throw_exception_if_processing_interrupted()
            sampling.told(x0)
            if part.first + step + 1 >= part.last:
                self.seen = watch.seen(x0, sigmas, step)
                if part.stopped:
                    raise LookedError

        try:
            made = guider.sample(
                noise, samples, part.stage.sampler, sigmas, denoise_mask=sampling.latent.get("noise_mask"),
                callback=callback, disable_pbar=True, seed=self.seed,
            )  # fmt: skip
        except LookedError:
            return None
        finally:
            sampling.evaluated += watch.evaluated
        made = made.to(model_management.intermediate_device())
        return made if sampling.finished_dtype is None else made.to(sampling.finished_dtype)


def _finite(samples: Any, seed: int) -> Any:
    if not all(part.isfinite().all() for part in parts(samples)):
        raise ClipError(
            f"Seed {seed}: what was sampled is not finite (NaN or infinite). The model, its precision or the schedule is at fault."
        )
    return samples
