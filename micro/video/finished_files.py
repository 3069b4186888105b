"""The two files that are made: in half precision, under the names that ComfyUI's UNETLoader and VAELoader read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...backbones.sampling_defaults import METADATA_KEY
from ...backbones.vae_wan import WAN21_MEAN, WAN21_STD, WanVAE
from ...backbones.wan_names import original
from ...files.tensor_file import save_tensors
from .linear_encoder import LATENT_CHANNELS

if TYPE_CHECKING:
    from diffusers import AutoencoderKLWan

SAMPLING = {
    "shift": 3.0, "steps": 16, "guidance_scale": 2.5, "fps": 8.0, "frames": 17, "height": 64, "width": 64,
}  # fmt: skip
_WORLD = "the procedural micro world of ComfyUI-VideoAlign: 64x64 pixels, 17 frames, 8 fps"


@torch.no_grad()
def fold_statistics(vae: AutoencoderKLWan, latents: Tensor) -> None:
    """Rescale the latents, in place, so that they are of mean 0 and standard deviation 1 where the sampler sees them.

    ComfyUI normalises Wan 2.1 latents by constants. The last layer of the encoder and the first one of the decoder are
    linear, so they can take up the difference; what is decoded does not change.

    Args:
        latents: [N, 16, T, H, W] means of encoded clips, in the VAE's own units.
    """
    mean, std = latents.mean(dim=(0, 2, 3, 4)), latents.std(dim=(0, 2, 3, 4))
    scale = torch.tensor(WAN21_STD) / std
    shift = torch.tensor(WAN21_MEAN) - mean * scale  # new = old * scale + shift
    encoder, decoder = vae.quant_conv, vae.post_quant_conv
    encoder.weight[:LATENT_CHANNELS] *= scale.view(-1, 1, 1, 1, 1)
    encoder.bias[:LATENT_CHANNELS] = encoder.bias[:LATENT_CHANNELS] * scale + shift
    encoder.bias[LATENT_CHANNELS:] += 2 * scale.log()
    decoder.weight /= scale.view(1, -1, 1, 1, 1)
    decoder.bias -= decoder.weight.flatten(1) @ shift


def save_vae(path: Path, vae: AutoencoderKLWan) -> None:
    """Write a VAE whose statistics are folded."""
    weights = WanVAE(vae).original_state_dict()
    _save(path, weights, {"description": f"Wan 2.1 VAE of a small width for {_WORLD}"})


def save_dit(path: Path, weights: dict[str, Tensor]) -> None:
    """Write a DiT from the weights in diffusers' naming; the metadata says how to sample from it."""
    metadata = {
        "description": f"Wan 2.1 T2V of a small size for {_WORLD}; captions: Micro Caption Encode",
        METADATA_KEY: json.dumps(SAMPLING),
    }
    _save(path, {original(name): tensor for name, tensor in weights.items()}, metadata)


def _save(path: Path, weights: dict[str, Tensor], metadata: dict[str, str]) -> None:
    largest = max(float(tensor.abs().max()) for tensor in weights.values())
    if not largest < torch.finfo(torch.float16).max:
        raise ValueError(f"a weight of {largest:g} does not fit into half precision; the training has diverged.")
    halves = {name: tensor.detach().to(torch.float16).contiguous().clone() for name, tensor in weights.items()}
    save_tensors(path, halves, metadata)
