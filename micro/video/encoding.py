"""Latents of the rendered clips, as the sampler sees them: made once, file by file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...backbones.vae import VAE
from ...backbones.wan_whole_clip import encode_whole
from ...clips.pixels import as_video
from ...files.tensor_file import save_tensors
from ...micro_world.clip import Clip
from .clips import sample_video_clip
from .linear_encoder import encode_linear

CAPTIONS = "captions"  # in the metadata


@torch.no_grad()
def encode_clips(vae: VAE, frames: np.ndarray, batch: int = 1) -> Tensor:
    """[N, 16, T', h, w] float32 normalised latents of clips [N, T, H, W, 3] uint8."""
    means = [
        encode_whole(vae.module, as_video(np.asarray(frames[i : i + batch])))[0] for i in range(0, len(frames), batch)
    ]
    mean, std = (values.view(1, -1, 1, 1, 1) for values in vae.statistics())
    return (torch.cat(means) - mean) / std


def encode_drawn(vae: VAE, clips: Sequence[Clip]) -> Tensor:
    """The same of drawn clips by a VAE with an encoder of ``linear_encoder``, at once and many times faster."""
    mean, std = (values.view(1, -1, 1, 1, 1) for values in vae.statistics())
    return (encode_linear(vae.module, as_video(np.stack([clip.frames for clip in clips]))) - mean) / std


def write_latents(folder: Path, vae: VAE, seed: int, shard: int, size: int) -> Path:
    """Draw clips ``shard * size`` and following and keep their latents and captions in one file; does nothing when it is there.

    Args:
        vae: with an encoder of ``linear_encoder``.
        seed, shard, size: of ``sample_video_clip``.
    """
    target = folder / f"latents_{shard:04d}.safetensors"
    if not target.exists():
        clips = [sample_video_clip(seed, shard * size + i) for i in range(size)]
        latents = encode_drawn(vae, clips)
        captions = json.dumps([clip.caption for clip in clips])
        save_tensors(target, {"latents": latents.to(torch.float16).contiguous()}, {CAPTIONS: captions})
    return target


def read_latents(file: Path) -> tuple[Tensor, list[str]]:
    """[N, 16, T', h, w] float16 latents of a file and the captions of their clips."""
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        return opened.get_tensor("latents"), json.loads(opened.metadata()[CAPTIONS])
