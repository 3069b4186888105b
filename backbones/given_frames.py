"""Latents that are given, not sampled: what an LTX network is told of them, and what becomes of them beside it.

Image-to-video by the first frame: the first latent frame is the image's own, and every token of it is told the time 0 (diffusers'
LTXImageToVideoPipeline and LTX2ImageToVideoPipeline). ComfyUI tells the same by a mask of the noise, from which LTXV and LTXAV make a time for
each token. Of ``first_frame`` the network sees the image wherever the sampler's own first frame is, so that samplers, searches and losses
need not know of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .conditioning import Conditioning, ConditioningError
from .family import GIVEN_ENTRIES
from .flow_path import x0_to_velocity

FIRST_FRAME, NOISE_MASK = GIVEN_ENTRIES


def seen(x_t: Tensor, conditioning: Conditioning) -> Tensor:
    """What the network sees of x_t [B, C, T, H, W]: the image in the place of the first frame. Clean elements have no gradient.

    Raises:
        ConditioningError: what is given has another shape.
    """
    _check(x_t, conditioning)
    if FIRST_FRAME in conditioning:
        x_t = torch.cat([conditioning[FIRST_FRAME].to(x_t), x_t[:, :, 1:]], dim=2)
    if NOISE_MASK in conditioning and x_t.requires_grad:
        x_t = torch.where(conditioning[NOISE_MASK][:, :1] > 0, x_t, x_t.detach())
    return x_t


def token_levels(x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
    """[B, M] float32 noise levels, each of N / M tokens in turn of the N = T H W: sigma of all (M = 1), of frames (T), or of tokens (N)."""
    frames = x_t.shape[2]
    levels = sigma.float()[:, None]
    if NOISE_MASK in conditioning:
        levels = levels * conditioning[NOISE_MASK][:, 0].float().clamp(0, 1).flatten(1)
    if FIRST_FRAME in conditioning:
        tokens = levels.shape[1] // frames if NOISE_MASK in conditioning else 1
        levels = levels.expand(-1, frames * tokens)
        levels = torch.cat([torch.zeros_like(levels[:, :tokens]), levels[:, tokens:]], dim=1)
    return levels


def held(velocity: Tensor, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
    """A velocity for a sampler: of the first frame the one that leads to the image, wherever the sampler stands."""
    if FIRST_FRAME not in conditioning:
        return velocity
    image, first = conditioning[FIRST_FRAME].to(x_t), x_t[:, :, :1]
    return torch.cat([x0_to_velocity(image, first, sigma).to(velocity), velocity[:, :, 1:]], dim=2)


def noised(values: Tensor, conditioning: Conditioning) -> Tensor:
    """[B, C, T', H, W]: those latent frames of values [B, C, T, H, W] that are not given, of which a loss is taken."""
    return values[:, :, 1:] if FIRST_FRAME in conditioning else values


def with_clean(x_t: Tensor, clean: Tensor, conditioning: Conditioning) -> Tensor:
    """x_t with ``clean`` where ``noise_mask`` is 0, and between both where it is between, as ComfyUI's samplers show it to their model."""
    if NOISE_MASK not in conditioning:
        return x_t
    mask = conditioning[NOISE_MASK][:, :1].to(x_t)
    return x_t * mask + clean.to(x_t) * (1 - mask)


def first_frame_entry(samples: int, latents: Sequence[int]) -> dict[str, Tensor]:
    """The entry for [C, T, H, W] latents, with nothing in it."""
    channels, _, height, width = latents
    return {FIRST_FRAME: torch.empty(samples, channels, 1, height, width)}


def _check(x_t: Tensor, conditioning: Conditioning) -> None:
    image, mask = conditioning.get(FIRST_FRAME), conditioning.get(NOISE_MASK)
    expected = [*x_t.shape[:2], 1, *x_t.shape[3:]]
    if image is not None and list(image.shape) != expected:
        raise ConditioningError(f"{FIRST_FRAME} must have shape {expected}; found {list(image.shape)}.")
    if mask is not None and (mask.ndim != 5 or mask.shape[2:] != x_t.shape[2:]):
        wanted = [len(x_t), 1, *x_t.shape[2:]]
        raise ConditioningError(f"{NOISE_MASK} must have shape {wanted}; found {list(mask.shape)}.")
