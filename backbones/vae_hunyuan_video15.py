"""The VAE of HunyuanVideo 1.5: 32 channels, stride 16 in space and 4 in time, latents scaled by one number.

Its middle attention is causal over frames, as its authors and diffusers run it. ComfyUI lets every frame see every other, so that its
latents of a clip differ slightly; those of a single image are the same.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from .hunyuan_video15_family import LATENTS
from .latent_format import LatentFormat
from .vae import VAE

SCALING_FACTOR = 1.03682


class HunyuanVideo15VAE(VAE):
    """Files are in ComfyUI's naming, which is Tencent's."""

    diffusers_class = "AutoencoderKLHunyuanVideo15"
    title = "HunyuanVideo 1.5"

    @classmethod
    def build_module(cls, config: dict) -> nn.Module:
        """diffusers', whose attention goes frame by frame rather than by a mask of all tokens by all."""
        module = super().build_module(config)
        for part in (module.encoder, module.decoder):
            for index, attention in enumerate(part.mid_block.attentions):
                part.mid_block.attentions[index] = FrameAttention(attention)
        return module

    @staticmethod
    def recognises(shapes: dict[str, tuple[int, ...]]) -> bool:
        """32 latent channels, and pixels that are packed into channels on the way."""
        conv_in = shapes.get("decoder.conv_in.conv.weight")
        return (
            conv_in is not None
            and conv_in[1] == LATENTS.channels
            and "encoder.down.0.downsample.conv.conv.weight" in shapes
        )

    @staticmethod
    def config_of(shapes: dict[str, tuple[int, ...]], metadata: dict[str, str]) -> dict:
        """Widths and number of layers."""
        widths = []
        while (first := f"encoder.down.{len(widths)}.block.0.conv1.conv.weight") in shapes:
            widths.append(shapes[first][0])
        layers = 0
        while f"encoder.down.0.block.{layers}.norm1.gamma" in shapes:
            layers += 1
        return {
            "block_out_channels": widths,
            "layers_per_block": layers,
            "latent_channels": LATENTS.channels,
            "scaling_factor": SCALING_FACTOR,
        }

    @staticmethod
    def format_of(config: dict) -> LatentFormat:
        """HunyuanVideo 1.5's."""
        return LATENTS

    @classmethod
    def original_names(cls, module: nn.Module) -> dict[str, str]:
        """ComfyUI's name of each of diffusers' tensors."""
        return {name: _original_name(name) for name in module.state_dict()}


class FrameAttention(nn.Module):
    """Each frame's elements attend to those of their frame and of the frames before; diffusers' layers under its names.

    Attributes:
        causal: as it was trained; ComfyUI has it not.
    """

    causal = True

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.norm, self.proj_out = attention.norm, attention.proj_out
        self.to_q, self.to_k, self.to_v = attention.to_q, attention.to_k, attention.to_v

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T, H, W] -> the same."""
        normed = self.norm(x)
        frames, area = x.shape[2], x.shape[3] * x.shape[4]
        query, key, value = (
            layer(normed).flatten(2).transpose(1, 2)[:, None] for layer in (self.to_q, self.to_k, self.to_v)
        )
        seen = []
        for frame in range(frames):
            until = (frame + 1 if self.causal else frames) * area
            own = query[:, :, frame * area : (frame + 1) * area]
            seen.append(nn.functional.scaled_dot_product_attention(own, key[:, :, :until], value[:, :, :until]))
        return x + self.proj_out(torch.cat(seen, dim=2)[:, 0].transpose(1, 2).unflatten(2, x.shape[2:]))


def _original_name(name: str) -> str:
    name = name.replace("conv_shortcut", "nin_shortcut.conv")
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda match: f"mid.block_{int(match[1]) + 1}", name)
    name = re.sub(r"mid_block\.attentions\.0\.(?:to_)?", "mid.attn_1.", name)
    name = name.replace("downsamplers.0", "downsample").replace("upsamplers.0", "upsample")
    return re.sub(r"(down|up)_blocks\.(\d+)\.", r"\1.\2.", name).replace(".resnets.", ".block.")
