"""A LoRA merged into a network: what the network is from then on."""

from __future__ import annotations

from pathlib import Path

import torch

from ..backbones.backbone import Backbone
from ..errors import LoraFileError, VideoAlignError
from .reading import load_lora


def lora_and_strength(entry: str) -> tuple[Path, float]:
    """ "file.safetensors:0.8" -> (file, 0.8); without a number 1.

    Raises:
        VideoAlignError: the file is not there.
    """
    path, strength = Path(entry), 1.0
    head, _, tail = entry.rpartition(":")
    if head and not path.exists():
        try:
            path, strength = Path(head), float(tail)
        except ValueError:
            path = Path(entry)
    if not path.exists():
        raise VideoAlignError(f"There is no LoRA {path}; give file.safetensors or file.safetensors:strength.")
    return path, strength


@torch.no_grad()
def merge_lora(backbone: Backbone, file: Path, strength: float = 1.0, expert: str | None = None) -> None:
    """Add a LoRA to the network's weights: W + strength alpha / rank B A, summed in float32.

    Args:
        expert: which of Wan 2.2's experts the network is; a LoRA of the other one is refused.

    Raises:
        LoraFileError: the file is not a LoRA of this network, or its sum with a weight is not finite.
    """
    layers = dict(backbone.module.named_modules())
    for name, lora in load_lora(file, backbone, expert=expert).items():
        weight = layers[name].weight
        grown = weight.float() + strength * lora.scale * (
            lora.B.to(weight.device).float() @ lora.A.to(weight.device).float()
        )
        grown = grown.to(weight.dtype)
        if not grown.isfinite().all():
            raise LoraFileError(
                f"{file} at strength {strength:g} makes {name} not finite in {str(weight.dtype).removeprefix('torch.')}. Lower its strength, "
                "or choose --dtype bfloat16."
            )
        weight.copy_(grown)
