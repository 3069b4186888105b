"""Latents as the network makes them, each with the clip that it should have become: what the decoder meets in use.

A clip's latents are noised to a level at which the network still knows which clip it is, and sampled from there. The decoder
that has seen such latents makes sharper clips of what the network gets slightly wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...backbones.backbone import Backbone
from ...backbones.conditioning import collate
from ...backbones.flow_path import add_noise
from ...backbones.micro_text import MicroTextEncoder
from ...backbones.sampling import guided_velocity, sample
from ...backbones.vae import VAE
from ...files.tensor_file import save_tensors
from .clips import sample_video_clip
from .encoding import encode_drawn

LEVELS = (0.4, 0.8)  # that the latents are noised to, uniformly
STEPS_FROM_NOISE = 20  # as many for the way from level 1; less for a part of it
AT_ONCE = 20  # of one level


def made_latents(backbone: Backbone, vae: VAE, count: int, seed: int) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Clips [T, H, W, 3] uint8 and what the network made of their noised latents, [16, T', h, w] in the VAE's own units.

    Args:
        vae: with an encoder of ``linear_encoder``.
        count: of clips, drawn with ``seed`` as those of the training are.
    """
    encoder, scale = MicroTextEncoder(), backbone.sampling.guidance_scale
    mean, std = (values.view(1, -1, 1, 1, 1) for values in vae.statistics())
    for first in range(0, count, AT_ONCE):
        clips = [sample_video_clip(seed, index) for index in range(first, min(first + AT_ONCE, count))]
        rng = np.random.default_rng([seed, first, 1])
        level = float(rng.uniform(*LEVELS))
        latents = encode_drawn(vae, clips)
        noise = torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32))
        texts, nothing = encoder.encode([clip.caption for clip in clips]), encoder.encode([""] * len(clips))
        velocity = guided_velocity(backbone.velocity, collate(texts), collate(nothing), scale)
        levels = torch.linspace(level, 0, max(2, round(level * STEPS_FROM_NOISE)) + 1)
        made = sample(velocity, add_noise(latents, noise, level), levels) * std + mean
        yield from zip([clip.frames for clip in clips], made, strict=True)


def write_made(path: Path, backbone: Backbone, vae: VAE, count: int, seed: int) -> None:
    """Keep ``made_latents`` in a file."""
    clips, latents = zip(*made_latents(backbone, vae, count, seed), strict=True)
    save_tensors(path, {"clips": torch.from_numpy(np.stack(clips)), "latents": torch.stack(latents)})


def read_made(path: Path) -> list[tuple[np.ndarray, Tensor]]:
    """The pairs of such a file."""
    from safetensors.torch import load_file

    kept = load_file(path)
    return list(zip(kept["clips"].numpy(), kept["latents"], strict=True))
