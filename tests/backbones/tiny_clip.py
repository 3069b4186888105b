"""A tiny CLIP vision tower with random weights, and its weights in the formats that users have."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

PATCH = 56
TOKENS = 1 + (224 // PATCH) ** 2


def tiny_clip(width: int = 64, seed: int = 0):
    """transformers' model: three layers, 17 tokens of ``width`` channels."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    config = CLIPVisionConfig(
        hidden_size=width, intermediate_size=48, num_hidden_layers=3, num_attention_heads=16, patch_size=PATCH,
        image_size=224, hidden_act="gelu", projection_dim=32,
    )  # fmt: skip
    module = CLIPVisionModel(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            matrix = parameter.ndim > 1 and "position" not in name
            parameter.copy_(
                noise / parameter[0].numel() ** 0.5 if matrix else 0.1 * noise + name.endswith("norm.weight")
            )
    return module


def save_clip(module, path: Path) -> Path:
    """One file as ComfyUI has it: the tower behind ``vision_model.``, and the projection that nobody needs here."""
    state = {
        "vision_model." + name.removeprefix("vision_model."): tensor.clone()
        for name, tensor in module.state_dict().items()
        if "position_ids" not in name
    }
    width = module.config.hidden_size
    state["visual_projection.weight"] = torch.randn(32, width, generator=torch.Generator().manual_seed(1))
    save_file(state, path)
    return path
