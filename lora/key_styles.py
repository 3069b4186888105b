"""The ways in which LoRA files name their tensors, told from the keys alone (no torch).

``PREFIX module SUFFIX``: the prefix is the trainer's, the suffix says which of the tensors it is. Known: ComfyUI's and
diffusion-pipe's ``diffusion_model.``, diffusers' ``transformer.``, peft's ``base_model.model.``, kohya's and musubi-tuner's
``lora_unet_`` (dots written as underscores), Wan Fun's ``lora_unet__``, OneTrainer's ``lora_transformer_``, DiffSynth's bare names.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_DOTTED = (
    "base_model.model.",
    "model.diffusion_model.",
    "diffusion_model.",
    "transformer.",
    "pipe.dit.",
    "unet.",
    "model.",
    "_orig_mod.",  # torch.compile's
    "module.",  # DistributedDataParallel's
)
_UNDERSCORED = ("lora_unet__", "lora_unet_", "lora_transformer_", "lycoris_")
_SUFFIXES = (  # (pattern, which tensor)
    (r"\.lora_A(\.[\w-]+)?\.weight", "A"),
    (r"\.lora_B(\.[\w-]+)?\.weight", "B"),
    (r"\.lora_down(\.[\w-]+)?\.weight", "A"),
    (r"\.lora_up(\.[\w-]+)?\.weight", "B"),
    (r"[._]lora\.down\.weight", "A"),
    (r"[._]lora\.up\.weight", "B"),
    (r"\.lora_linear_layer\.down\.weight", "A"),
    (r"\.lora_linear_layer\.up\.weight", "B"),
    (r"\.lora_A", "A"),
    (r"\.lora_B", "B"),
    (r"\.alpha", "alpha"),
)


class Key(NamedTuple):
    """A key, taken apart."""

    prefix: str
    module: str
    tensor: str  # "A", "B" or "alpha"


def parse_key(key: str) -> Key | None:
    """Take a key apart; None if it is not one of a plain LoRA (a bias, a norm, DoRA, LoHa, LoKr, a full weight...)."""
    for pattern, tensor in _SUFFIXES:
        match = re.search(pattern + "$", key)
        if match:
            prefix, module = split_prefix(key[: match.start()])
            return Key(prefix, module, tensor)
    return None


def split_prefix(path: str) -> tuple[str, str]:
    """``diffusion_model.blocks.0.ffn.0`` -> (``diffusion_model.``, ``blocks.0.ffn.0``)."""
    prefix, dotted = "", True
    while dotted:
        dotted = next((start for start in _DOTTED if path.startswith(start)), "")
        prefix, path = prefix + dotted, path.removeprefix(dotted)
    underscored = next((start for start in _UNDERSCORED if path.startswith(start)), "")
    return prefix + underscored, path.removeprefix(underscored)
