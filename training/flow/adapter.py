"""The LoRA on a backbone: made, switched off for the reference, and nothing else trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from ...backbones.backbone import Backbone
from ...lora.adapters import copy_into_adapters, lora_config
from ...lora.reading import load_lora
from .config import LoraOptions


def add_adapter(backbone: Backbone, options: LoraOptions, seed: int, expert: str | None = None) -> None:
    """Put a LoRA on the backbone: random A (from ``seed``), B = 0, or the LoRA to go on from; float32.

    Args:
        expert: which of Wan 2.2's experts the backbone is, to choose from a LoRA that holds both.

    Raises:
        LoraFileError: the LoRA to go on from cannot be read or does not fit.
    """
    weights = {} if options.start is None else load_lora(Path(options.start), backbone, expert=expert)
    targets = backbone.lora_targets(ffn=options.targets == "attention+ffn")
    adapter = lora_config(weights, targets, rank=options.rank, alpha=options.alpha, lora_dropout=options.dropout)
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    backbone.module.add_adapter(adapter)
    torch.set_rng_state(state)
    for name, parameter in backbone.module.named_parameters():
        trained = "lora_" in name
        parameter.requires_grad_(trained)
        if trained:
            parameter.data = parameter.data.float()
    if weights:
        copy_into_adapters(backbone.module, weights)


@contextmanager
def disabled_adapter(module: nn.Module) -> Iterator[None]:
    """Inside, a network of diffusers with an adapter is the base model."""
    module.disable_adapters()
    try:
        yield
    finally:
        module.enable_adapters()
