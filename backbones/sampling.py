"""Sampling from a rectified flow in a plain loop: Euler steps, classifier-free guidance, one hook.

With dx / dsigma = v (see ``flow_path.py``) a step from sigma to sigma' is x + (sigma' - sigma) v. This is what ComfyUI's
``euler`` does with a flow model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from ..errors import VideoAlignError
from .backbone import Backbone
from .conditioning import Conditioning, collate, rows_of
from .flow_path import seeded_noise
from .given_frames import held
from .sampling_defaults import SamplingDefaults
from .vae import VAE

NetworkVelocity = Callable[[Tensor, Tensor, Conditioning], Tensor]
"""(x_t [B, C, T, H, W], sigma [B], conditioning of B prompts) -> velocity [B, C, T, H, W]."""
Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x_t [B, C, T, H, W], sigma [B]) -> velocity [B, C, T, H, W]."""
Hook = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x_t, sigma [B], velocity after guidance) -> the velocity to use. Called once an evaluation."""
Progress = Callable[[int, int], None]
"""(steps done, steps in all)."""


def guided_velocity(
    network: NetworkVelocity, conditioning: Conditioning, negative: Conditioning | None = None, scale: float = 1.0
) -> Velocity:
    """A network's velocity with classifier-free guidance: v_neg + scale (v_pos - v_neg).

    With scale 1, or without a negative conditioning, the network is evaluated once a step. A first frame that is given is led to.

    Args:
        network: ``Backbone.velocity``, or the velocity of a network that is being trained.
    """

    def velocity(x_t: Tensor, sigma: Tensor) -> Tensor:
        v = network(x_t, sigma, conditioning)
        if negative is None or scale == 1:
            return held(v, x_t, sigma, conditioning)
        v_negative = network(x_t, sigma, negative)
        return held(v_negative + scale * (v - v_negative), x_t, sigma, conditioning)

    return velocity


@torch.no_grad()
def sample(
    velocity: Velocity, noise: Tensor, levels: Tensor, hook: Hook | None = None, progress: Progress | None = None
) -> Tensor:
    """Integrate from noise to a sample by Euler steps.

    Args:
        velocity: e.g. ``guided_velocity(...)``.
        noise: [B, C, T, H, W] at the first level; scaled noise plus a clean part where that is below 1.
        levels: [steps + 1] noise levels, descending; see ``sigmas``.
        hook: may change each velocity (reward guidance). It runs without gradients unless it enables them itself.
        progress: told after each step.

    Returns:
        [B, C, T, H, W] in the type and on the device of ``noise``.
    """
    x, steps = noise, len(levels) - 1
    levels = [float(level) for level in levels]
    for step, (level, following) in enumerate(pairwise(levels)):
        sigma = torch.full((len(x),), level, device=x.device)
        v = velocity(x, sigma)
        if hook is not None:
            v = hook(x, sigma, v)
        x = x + (following - level) * v
        if progress is not None:
            progress(step + 1, steps)
    return x


@dataclass(frozen=True)
class Batch:
    """Clips that are sampled together, for whoever samples them.

    Attributes:
        network: ``Backbone.velocity``.
        positive, negative, scale: see ``guided_velocity``; of B clips.
        seeds: of the clips.
        noise: [B, C, T, H, W], what each begins with.
        levels: [steps + 1] noise levels, descending.
        guidance: makes the hook of a conditioning.
    """

    network: NetworkVelocity
    positive: Conditioning
    negative: Conditioning | None
    scale: float
    seeds: Sequence[int]
    noise: Tensor
    levels: Tensor
    guidance: Callable[[Conditioning], Hook] | None = None

    def velocity(self, rows: Sequence[int] | None = None) -> Velocity:
        """The velocity that is followed, after classifier-free guidance and the hook, of all clips or of these rows."""
        positive, negative = self.positive, self.negative
        if rows is not None:
            positive = rows_of(positive, rows)
            negative = None if negative is None else rows_of(negative, rows)
        plain = guided_velocity(self.network, positive, negative, self.scale)
        if self.guidance is None:
            return plain
        hook = self.guidance(positive)
        return lambda x_t, sigma: hook(x_t, sigma, plain(x_t, sigma))


Sampler = Callable[[Batch, Progress | None], Tensor]
"""Samples a batch: [B, C, T, H, W]."""


def euler(batch: Batch, progress: Progress | None = None) -> Tensor:
    """The plain sampler: see ``sample``."""
    return sample(batch.velocity(), batch.noise, batch.levels, progress=progress)


Fault = Literal["conditioning", "network", "vae"]


@dataclass(frozen=True)
class GeneratedClip:
    """One sample.

    Attributes:
        prompt, seed: what it was made from.
        latents: [C, T, H, W] normalised, float32, on the CPU.
        video: [3, T, H, W] in -1..1, float32, on the CPU; None where no VAE was given.
        fps: frames per second.
        fault: what first gave values that are not finite: the prompt's or image's encoding, the network, or the VAE; None if
            all is well.
    """

    prompt: str
    seed: int
    latents: Tensor
    video: Tensor | None
    fps: float
    fault: Fault | None = None


def generate(
    backbone: Backbone,
    vae: VAE | None,
    text_encoder,
    prompts: Sequence[str],
    seeds: Sequence[int],
    settings: SamplingDefaults | None = None,
    *,
    negative_prompt: str = "",
    batch_size: int = 1,
    extra: Conditioning | None = None,
    image: Callable[[int], Conditioning] | None = None,
    guidance: Callable[[Conditioning], Hook] | None = None,
    sampler: Sampler = euler,
    progress: Progress | None = None,
) -> Iterator[GeneratedClip]:
    """Sample a clip for each prompt and seed, in order, in batches.

    A clip depends on its own prompt and seed, not on the batch that it happens to be in (up to rounding).

    Args:
        vae: None to leave the clips as latents.
        text_encoder: has ``encode(prompts) -> list of unbatched conditionings``.
        prompts, seeds: of equal length.
        settings: size, steps, shift and guidance scale; the backbone's defaults if None.
        extra: unbatched entries for every conditioning.
        image: number of a prompt -> unbatched entries of the image that its clip begins with.
        guidance: makes the hook of a batch from its (positive) conditioning.
        sampler: samples each batch; Euler's steps by default.
        progress: told after each step of the whole run.

    Raises:
        VideoAlignError: sizes or lengths that do not fit.
    """
    settings = settings or backbone.sampling
    if len(prompts) != len(seeds):
        raise VideoAlignError(f"{len(prompts)} prompts and {len(seeds)} seeds; there must be one seed a prompt.")
    if vae is not None and vae.latent_format != backbone.latent_format:
        raise VideoAlignError(
            f"the VAE is for {vae.latent_format.name} latents, this {backbone.name} network samples "
            f"{backbone.latent_format.name}. Give the VAE of the same model."
        )
    shape = backbone.latent_format.shape(settings.frames, settings.height, settings.width)
    levels = settings.schedule
    common = backbone.constants(settings) | dict(extra or {})
    guided = settings.guidance_scale != 1
    negative = text_encoder.encode([negative_prompt])[0] if guided else None
    total = settings.steps * -(-len(prompts) // batch_size)

    for number, start in enumerate(range(0, len(prompts), batch_size)):
        words, numbers = prompts[start : start + batch_size], seeds[start : start + batch_size]
        others = [common | dict(image(start + row) if image else {}) for row in range(len(words))]
        texts = text_encoder.encode(list(words))
        positive = collate([text | entries for text, entries in zip(texts, others, strict=True)])
        unwanted = collate([negative | entries for entries in others]) if guided else None
        report = None if progress is None else _offset(progress, number * settings.steps, total)
        noise = seeded_noise(numbers, shape).to(backbone.device)
        batch = Batch(backbone.velocity, positive, unwanted, settings.guidance_scale, numbers, noise, levels, guidance)
        latents = sampler(batch, report).float()
        videos = [None] * len(words)
        if vae is not None:
            with torch.no_grad():
                videos = [vae.decode(latent[None].to(vae.device))[0].cpu() for latent in latents]
        for row, (word, seed, latent, video) in enumerate(zip(words, numbers, latents.cpu(), videos, strict=True)):
            told = [texts[row], others[row], *([negative] if guided else [])]
            yield GeneratedClip(word, seed, latent, video, settings.fps, _fault(told, latent, video))


def _fault(told: Sequence[Conditioning], latent: Tensor, video: Tensor | None) -> Fault | None:
    """What of a clip's making is the first that is not finite."""
    if not all(entry.isfinite().all() for entries in told for entry in entries.values()):
        return "conditioning"
    if not latent.isfinite().all():
        return "network"
    return "vae" if video is not None and not video.isfinite().all() else None


def _offset(progress: Progress, before: int, total: int) -> Progress:
    return lambda done, _steps: progress(before + done, total)
