"""A family of video models in one file, as somebody outside this program would add it: facts and a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videoalign.backbones.backbone import Backbone
from videoalign.backbones.family import Family
from videoalign.backbones.latent_format import LatentFormat
from videoalign.backbones.sampling_defaults import SamplingDefaults

TOY = Family(
    name="toy",
    title="Toy",
    implementation="https://example.org/toy",
    latent_formats={"ToyLatents": LatentFormat("toy", channels=4, spatial_stride=8, temporal_stride=4)},
    conditioning={"text": "c_crossattn", "text_mask": None, "frame_rate": "frame_rate", "mood": "toy_mood"},
    lora_layers=r"toy_blocks\.\d+",
    lora_signs=r"toy_blocks_\d+",
)


class ToyNetwork(nn.Module):
    """Linear layers over latent elements; text and time are added to every one."""

    def __init__(self, width: int = 8, layers: int = 2, text_dim: int = 6) -> None:
        super().__init__()
        self.toy_in = nn.Linear(4, width)
        self.toy_text = nn.Linear(text_dim, width)
        self.toy_blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.norm_out = nn.LayerNorm(width)
        self.proj_out = nn.Linear(width, 4)

    def forward(self, x_t: Tensor, sigma: Tensor, text: Tensor) -> Tensor:
        """[B, C, T, H, W] -> the same."""
        tokens = self.toy_in(x_t.flatten(2).transpose(1, 2)) + sigma[:, None, None]
        tokens = tokens + self.toy_text(text).mean(1, keepdim=True)
        for block in self.toy_blocks:
            tokens = tokens + torch.tanh(block(tokens))
        v = self.proj_out(self.norm_out(tokens))
        return v.transpose(1, 2).unflatten(2, x_t.shape[2:])


class Toy(Backbone):
    """What the program asks of ``ToyNetwork``."""

    family = TOY
    diffusers_class = "ToyNetwork"
    block_lists = {"toy_blocks": "layers"}  # noqa: RUF012

    @classmethod
    def network_class(cls):
        return ToyNetwork

    @classmethod
    def recognises(cls, shapes):
        return "toy_in.weight" in shapes

    @classmethod
    def config_from(cls, shapes, metadata):
        width, text_dim = shapes["toy_text.weight"]
        layers = sum(name.startswith("toy_blocks.") and name.endswith(".weight") for name in shapes)
        return {"width": width, "layers": layers, "text_dim": text_dim}

    @classmethod
    def original_rows(cls, name, config):
        return [(name, None)]

    @classmethod
    def latent_format_of(cls, config):
        return TOY.latent_formats["ToyLatents"]

    @classmethod
    def sampling_of(cls, config):
        return SamplingDefaults(shift=1, steps=4, guidance_scale=2, fps=8, frames=5, height=16, width=24)

    @property
    def patch(self):
        return (1, 1, 1)

    @property
    def needs(self):
        return ("text",)

    @property
    def text_width(self):
        return self.config["text_dim"]

    @property
    def _input_weight(self):
        return self.module.toy_in.weight

    def lora_targets(self, ffn=False):
        return [f"toy_blocks.{index}" for index in range(len(self.blocks))]

    def _call(self, x_t, sigma, conditioning):
        return self.module(x_t, sigma.to(x_t.dtype), conditioning["text"])
