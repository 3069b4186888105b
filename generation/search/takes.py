"""One seed's way to a clip, which can be stopped after some steps, looked at, and gone on with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...backbones.conditioning import Conditioning, collate, rows_of
from ...backbones.flow_path import seeded_noise
from ...backbones.sampling import Batch, Hook, guided_velocity, sample
from ...backbones.sampling_defaults import SamplingDefaults
from ...errors import ClipError
from ..pipeline import Pipeline


class PromptTakes:
    """What all takes of a prompt share: its encoding, and the count of what the network was asked.

    Args:
        image: what the network is told of the image that the clips begin with.
        guidance: makes the hook of reward guidance from a conditioning.

    Attributes:
        evaluations: of the network so far, one for each clip and each side of classifier-free guidance.
        positive, negative: the conditioning of one clip; no negative one without classifier-free guidance.
    """

    def __init__(
        self, pipeline: Pipeline, sampling: SamplingDefaults, prompt: str, negative_prompt: str = "",
        image: Conditioning | None = None, guidance: Callable[[Conditioning], Hook] | None = None,
    ) -> None:  # fmt: skip
        self.pipeline, self.sampling, self.guidance = pipeline, sampling, guidance
        self.evaluations = 0
        backbone, texts = pipeline.backbone, pipeline.text_encoder
        self.levels = sampling.schedule
        self.shape = backbone.latent_format.shape(sampling.frames, sampling.height, sampling.width)
        others = backbone.constants(sampling) | dict(image or {})
        self.positive = collate([texts.encode([prompt])[0] | others])
        guided = sampling.guidance_scale != 1
        self.negative = collate([texts.encode([negative_prompt])[0] | others]) if guided else None
        entries = [*self.positive.values(), *(self.negative or {}).values()]
        if not all(entry.isfinite().all() for entry in entries):
            raise ClipError(
                f"What the text or image encoder made of {prompt!r} is not finite. Use another file of that encoder."
            )
        self.velocity = guided_velocity(self._counted, self.positive, self.negative, sampling.guidance_scale)

    def begin(self, seed: int) -> Take:
        """A take that has not begun."""
        return Take(self, seed)

    def batch(self, seeds: Sequence[int]) -> Batch:
        """Clips of these seeds, for whoever samples them another way."""
        rows = [0] * len(seeds)
        negative = None if self.negative is None else rows_of(self.negative, rows)
        noise = seeded_noise(seeds, self.shape).to(self.pipeline.backbone.device)
        return Batch(
            self._counted, rows_of(self.positive, rows), negative, self.sampling.guidance_scale, seeds, noise,
            self.levels, self.guidance,
        )  # fmt: skip

    def decoded(self, latents: Tensor) -> Tensor:
        """[3, T, H, W] in -1..1 on the CPU of latents [C, T, H, W]."""
        vae = self.pipeline.vae
        with torch.no_grad():
            return vae.decode(latents[None].to(vae.device))[0].cpu()

    def _counted(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        self.evaluations += len(x_t)
        return self.pipeline.backbone.velocity(x_t, sigma, conditioning)


class Take:
    """One seed.

    However often it was stopped, it ends in the clip that ``backbones.sampling.generate`` makes of this seed alone, bit for bit: the
    steps are Euler's, and each sees the same numbers.

    Attributes:
        step: steps that are done.
        x: [1, C, T, H, W] at the noise level of that step.
        clean: [C, T, H, W], the clean latent that the last step foresaw; None before the first.
    """

    def __init__(self, takes: PromptTakes, seed: int) -> None:
        self.takes, self.seed, self.step = takes, seed, 0
        self.clean: Tensor | None = None
        self.x = seeded_noise([seed], takes.shape).to(takes.pipeline.backbone.device)
        self._hook = None if takes.guidance is None else takes.guidance(takes.positive)

    @property
    def sigma(self) -> float:
        """The noise level that it has reached."""
        return float(self.takes.levels[self.step])

    def go(self, until: int | None = None) -> Take:
        """Sample up to a step; to the end by default."""
        last = len(self.takes.levels) - 1 if until is None else until
        if last > self.step:
            self.x = sample(self.takes.velocity, self.x, self.takes.levels[self.step : last + 1], hook=self._look)
            self.step = last
        return self

    def _look(self, x: Tensor, sigma: Tensor, velocity: Tensor) -> Tensor:
        if self._hook is not None:
            velocity = self._hook(x, sigma, velocity)
        self.clean = (x - sigma.view(-1, 1, 1, 1, 1) * velocity)[0].float()
        return velocity


def check_finite(latents: Tensor, seed: int) -> Tensor:
    """The latents.

    Raises:
        ClipError: they are not finite.
    """
    if not latents.isfinite().all():
        raise ClipError(
            f"Seed {seed}: what the network sampled is not finite (NaN or infinite). See videoalign generate for the causes."
        )
    return latents
