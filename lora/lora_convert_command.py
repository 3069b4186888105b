"""``videoalign lora convert``: any LoRA of a supported model -> one that ComfyUI's stock loader applies completely."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from ..cli.options import CommandConfig, positional

_RECOMPUTED = ("format", "lora_adapter_metadata", "ss_network_dim", "ss_network_alpha")


class Config(CommandConfig):
    """Rewrite a LoRA (of diffusers, peft, kohya, musubi-tuner, DiffSynth, OneTrainer, ...) under the names that ComfyUI knows.

    What it adds to the model stays the same, its alpha is kept, and its metadata too.
    """

    file: Path = positional(description="The LoRA: a .safetensors file, or the folder that peft or diffusers wrote.")
    model: Path = Field(
        description="The model that it is for, ComfyUI file or diffusers folder; gives names and sizes."
    )
    output: Path = Field(description="File to write.")
    dtype: Literal["float32", "bfloat16", "float16"] = Field("bfloat16", description="Type of A and B.")
    expert: Literal["high_noise", "low_noise"] | None = Field(
        None,
        description="Wan 2.2 A14B: whose LoRA is read from a diffusers file that holds those of both experts (transformer, transformer_2).",
    )
    ignore_unmatched: bool = Field(
        False,
        description="Leave out tensors that fit no linear layer of the model (they are counted and named), such as a DoRA's magnitudes, without which it is another change.",
    )
    overwrite: bool = Field(False, description="Replace an existing output file.")


def run(config: Config) -> int:
    """Convert; returns the exit status."""
    import torch

    from ..backbones.loading import load_backbone
    from ..errors import LoraFileError
    from ..files.safetensors_header import read_header
    from .metadata import PREFIX, from_strings
    from .reading import load_lora, lora_file
    from .writing import save_lora

    backbone = load_backbone(config.model, device="meta")  # names and sizes only: no memory for the weights
    weights = load_lora(config.file, backbone, config.ignore_unmatched, expert=config.expert)
    strings = read_header(lora_file(config.file), LoraFileError).metadata
    metadata = from_strings(strings)
    others = {key: value for key, value in strings.items() if not key.startswith(PREFIX) and key not in _RECOMPUTED}
    extra = {key: value for key, value in metadata.extra.items() if key != "stacked"}
    metadata = replace(metadata, extra={**others, **extra}, expert=config.expert or metadata.expert)
    save_lora(config.output, backbone, weights, metadata, getattr(torch, config.dtype), config.overwrite)
    print(f"{config.file} -> {config.output}: {len(weights)} layers of {backbone.name}")
    return 0
