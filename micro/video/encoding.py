"""Latents of the rendered clips, as the sampler sees them: made once, file by file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...backbones.vae import VAE
from ...backbones.wan_whole_clip import encode_whole
from ...clips.pixels import as_video
from ...files.tensor_file import save_tensors
from .clips import read_captions


@torch.no_grad()
def encode_clips(vae: VAE, frames: np.ndarray, batch: int = 1) -> Tensor:
    """[N, 16, T', h, w] float32 normalised latents of clips [N, T, H, W, 3] uint8."""
    means = [
        encode_whole(vae.module, as_video(np.asarray(frames[i : i + batch])))[0] for i in range(0, len(frames), batch)
    ]
    mean, std = (values.view(1, -1, 1, 1, 1) for values in vae.statistics())
    return (torch.cat(means) - mean) / std


def latents_file(folder: Path, frames_file: Path) -> Path:
    """Where the latents of a file of clips belong."""
    return folder / f"latents_{frames_file.stem.removeprefix('clips_')}.safetensors"


def write_latents(folder: Path, vae: VAE, frames_file: Path) -> Path:
    """Encode one file of clips; does nothing when that has been done."""
    target = latents_file(folder, frames_file)
    if not target.exists():
        latents = encode_clips(vae, np.load(frames_file, mmap_mode="r"))
        save_tensors(target, {"latents": latents.to(torch.float16).contiguous()})
    return target


def captions_of(clips_folder: Path, latents: Path) -> list[str]:
    """Captions of the clips whose latents a file holds."""
    frames_file = clips_folder / f"clips_{latents.stem.removeprefix('latents_')}.npy"
    return [row["caption"] for row in read_captions(frames_file)]
