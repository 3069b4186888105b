"""Wan video models for benchmarks: the micro model, and real sizes with random weights, with any number of layers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from videoalign.backbones.backbone import Backbone
from videoalign.backbones.loading import build_backbone, load_backbone
from videoalign.backbones.micro_files import MICRO_NETWORK

CLIP = (81, 832, 480)  # frames, width and height that a Wan is made for
CLIP_TOKENS = 21 * 30 * 52


@dataclass(frozen=True)
class Size:
    """A video model and the latent reward model on its trunk."""

    heads: int  # of 128 channels each
    ffn: int
    layers: int
    trunk: int  # blocks that its latent reward keeps
    head_width: int  # hidden channels of the latent reward's heads
    text: int  # tokens
    clip: tuple[int, int, int] = CLIP

    @property
    def width(self) -> int:
        return 128 * self.heads

    def operations(self, tokens: int, backward: bool = False) -> float:
        """Floating-point operations of one block; the backward pass, to the tokens alone, comes on top.

        With frozen weights each linear layer is one product more, and attention two and a half times its forward pass
        (it is computed again). The text's keys and values need no gradient.
        """
        linear = 2 * tokens * (6 * self.width**2 + 2 * self.width * self.ffn)
        attention = 4 * tokens * (tokens + self.text) * self.width
        text = 2 * self.text * 2 * self.width**2
        return linear + attention + text + backward * (linear + 2.5 * attention)


SIZES = {  # a trunk of 8 of 30 blocks is the paper's; 3 of 6 and its heads those of the shipped latent reward
    "micro": Size(heads=1, ffn=512, layers=6, trunk=3, head_width=48, text=10, clip=(17, 64, 64)),
    "1.3b": Size(heads=12, ffn=8960, layers=30, trunk=8, head_width=128, text=512),
    "14b": Size(heads=40, ffn=13824, layers=40, trunk=11, head_width=128, text=512),
}


def network(name: str, layers: int, dtype: torch.dtype, device: torch.device) -> Backbone:
    """The first layers of a video model, as if it had no more; the micro model's embedded weights where they are there."""
    size = SIZES[name]
    if name == "micro" and MICRO_NETWORK.exists():
        backbone = load_backbone(MICRO_NETWORK, dtype, device, layers)
        backbone.total_blocks = layers
        return backbone
    config = {
        "num_attention_heads": size.heads, "ffn_dim": size.ffn, "num_layers": layers, "in_channels": 16, "out_channels": 16,
    }  # fmt: skip
    with device:
        backbone = build_backbone("wan", config)
    kept = set(backbone.module._keep_in_fp32_modules)
    for key, parameter in backbone.module.named_parameters():
        if not kept.intersection(key.split(".")):
            parameter.data = parameter.data.to(dtype)
    return backbone


@contextlib.contextmanager
def depth(backbone: Backbone, blocks: int) -> Iterator[None]:
    """The backbone as if it had only so many blocks."""
    every, total = backbone.module.blocks, backbone.total_blocks
    backbone.module.blocks, backbone.total_blocks = every[:blocks], blocks
    try:
        yield
    finally:
        backbone.module.blocks, backbone.total_blocks = every, total
