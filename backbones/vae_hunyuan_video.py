"""The VAE of HunyuanVideo: 16 channels, stride 8 in space and 4 in time, latents scaled by one number.

Its middle attention is causal over frames and its norms are over the whole clip, as diffusers runs it. ComfyUI leaves the mask
out, and newer versions cut clips in time with norms for each piece, so that their latents of a clip differ slightly; those of
a single image are the same.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from .hunyuan_video_family import LATENTS
from .latent_format import LatentFormat
from .vae import VAE

SCALING_FACTOR = 0.476986

_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


class HunyuanVideoVAE(VAE):
    """ComfyUI reads it under two sets of names: diffusers', and those of latent diffusion."""

    diffusers_class = "AutoencoderKLHunyuanVideo"
    title = "HunyuanVideo"

    @staticmethod
    def recognises(shapes: dict[str, tuple[int, ...]]) -> bool:
        """16 latent channels and a convolution over time behind them."""
        conv_in, quant = shapes.get("decoder.conv_in.conv.weight"), shapes.get("post_quant_conv.weight")
        return conv_in is not None and quant is not None and conv_in[1] == 16 and len(quant) == 5

    @staticmethod
    def config_of(shapes: dict[str, tuple[int, ...]], metadata: dict[str, str]) -> dict:
        """Widths and number of layers."""
        block, resnet = ("down_blocks", "resnets") if _has_diffusers_names(shapes) else ("down", "block")
        widths = []
        while (first := f"encoder.{block}.{len(widths)}.{resnet}.0.conv1.conv.weight") in shapes:
            widths.append(shapes[first][0])
        layers = 0
        while f"encoder.{block}.0.{resnet}.{layers}.norm1.weight" in shapes:
            layers += 1
        return {
            "block_out_channels": widths,
            "down_block_types": ["HunyuanVideoDownBlock3D"] * len(widths),
            "up_block_types": ["HunyuanVideoUpBlock3D"] * len(widths),
            "layers_per_block": layers,
            "latent_channels": shapes["decoder.conv_in.conv.weight"][1],
            "scaling_factor": SCALING_FACTOR,
        }

    @staticmethod
    def format_of(config: dict) -> LatentFormat:
        """HunyuanVideo's."""
        return LATENTS

    def set_tiling(self, tiling: bool) -> None:
        """Tiles in space, and pieces in time."""
        super().set_tiling(tiling)
        # diffusers cuts long clips in time unless told otherwise; that changes the latents.
        self.module.use_framewise_encoding = self.module.use_framewise_decoding = tiling

    @classmethod
    def original_names(cls, module: nn.Module) -> dict[str, str]:
        """Latent diffusion's name of each of diffusers' tensors."""
        last = len(module.config.block_out_channels) - 1
        return {name: _original_name(name, last) for name in module.state_dict()}

    @classmethod
    def file_names(cls, module: nn.Module, shapes: dict[str, tuple[int, ...]]) -> dict[str, str]:
        """Files have either of two sets of names."""
        if _has_diffusers_names(shapes):
            return {name: name for name in module.state_dict()}
        return cls.original_names(module)

    @staticmethod
    def to_original(name: str, tensor: Tensor) -> Tensor:
        """Attention layers are 1x1x1 convolutions in the original."""
        linear = ".attn_1." in name and tensor.ndim == 2
        return tensor[..., None, None, None] if linear else tensor

    @staticmethod
    def from_original(tensor: Tensor, shape: torch.Size) -> Tensor:
        """Convolutions of one element become linear layers."""
        return tensor.reshape(shape) if tensor.numel() == shape.numel() else tensor


def _has_diffusers_names(shapes: dict[str, tuple[int, ...]]) -> bool:
    return "decoder.up_blocks.0.resnets.0.norm1.weight" in shapes


def _original_name(name: str, last_block: int) -> str:
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda match: f"mid.block_{int(match[1]) + 1}", name)
    name = re.sub(
        r"mid_block\.attentions\.0\.([a-z_]+(?:\.0)?)", lambda match: f"mid.attn_1.{_ATTENTION[match[1]]}", name
    )
    name = re.sub(r"up_blocks\.(\d+)", lambda match: f"up.{last_block - int(match[1])}", name)
    name = (
        name.replace("down_blocks.", "down.")
        .replace("downsamplers.0", "downsample")
        .replace("upsamplers.0", "upsample")
    )
    return re.sub(r"(down|up)\.(\d+)\.resnets\.", r"\1.\2.block.", name)
