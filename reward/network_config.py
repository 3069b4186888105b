"""The Qwen2-VL configuration of a checkpoint whose base model is not at hand, read off the shapes of its weights."""

from __future__ import annotations

import re

import torch

from ..errors import CheckpointError

_TEXT_HEAD_DIM = 128
_VISION_HEAD_DIM = 80
_TIED_HIDDEN_SIZE = 1536  # of the 2B model; the larger ones have an output layer of their own


def config_from_weights(weights: dict[str, torch.Tensor]) -> dict:
    """A ``config.json`` of a released Qwen2-VL (2B, 7B, 72B) from its tensors.

    Args:
        weights: names of ``Qwen2VLRewardNetwork`` -> tensors.

    Raises:
        CheckpointError: the shapes are not those of a released Qwen2-VL, whose head sizes are fixed.
    """
    return config_from_shapes({name: tuple(tensor.shape) for name, tensor in weights.items()})


def config_from_shapes(weights: dict[str, tuple[int, ...]]) -> dict:
    """As ``config_from_weights``, from the shapes alone: no weight needs to be read."""
    layers = 1 + max(
        (int(m[1]) for m in (re.match(r"language_model\.layers\.(\d+)\.", name) for name in weights) if m), default=-1
    )
    depth = 1 + max(
        (int(m[1]) for m in (re.match(r"visual\.blocks\.(\d+)\.", name) for name in weights) if m), default=-1
    )
    try:
        hidden = weights["language_model.norm.weight"][0]
        keys = weights["language_model.layers.0.self_attn.k_proj.weight"][0]
        intermediate = weights["language_model.layers.0.mlp.up_proj.weight"][0]
        embed = weights["visual.patch_embed.proj.weight"][0]
        mlp = weights["visual.blocks.0.mlp.fc1.weight"][0]
    except KeyError as error:
        raise CheckpointError(f"The checkpoint has no {error}; it is not a Qwen2-VL reward model.") from None
    if hidden % _TEXT_HEAD_DIM or keys % _TEXT_HEAD_DIM or embed % _VISION_HEAD_DIM:
        raise CheckpointError(
            "The checkpoint is not of a released Qwen2-VL size; give the folder of its base model with --base."
        )
    return {
        "model_type": "qwen2_vl",
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // _TEXT_HEAD_DIM,
        "num_key_value_heads": keys // _TEXT_HEAD_DIM,
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
        "tie_word_embeddings": hidden == _TIED_HIDDEN_SIZE,
        "hidden_act": "silu",
        "vision_config": {
            "depth": depth,
            "embed_dim": embed,
            "hidden_size": hidden,
            "num_heads": embed // _VISION_HEAD_DIM,
            "mlp_ratio": mlp // embed,
            "in_chans": 3,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
    }
