"""The LoRA on a backbone: made, exchanged for the reference, and nothing else trained."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from ...backbones.backbone import Backbone
from ...errors import LoraFileError
from ...lora.adapters import LoraWeights, copy_into_adapters, lora_config
from ...lora.reading import load_lora
from .config import LoraOptions

TRAINED, REFERENCE = "default", "reference"
"""The adapters: what is trained, and a frozen copy of the LoRA that it began from. Only the first is ever saved."""


def add_adapter(backbone: Backbone, options: LoraOptions, seed: int, expert: str | None = None) -> None:
    """Put a LoRA on the backbone: random A (from ``seed``), B = 0, or the LoRA to go on from; float32.

    Going on from a LoRA, the network with it is the reference, unless ``options.reference`` says the base model: it gets a
    second, frozen adapter.

    Args:
        expert: which of Wan 2.2's experts the backbone is, to choose from a LoRA that holds both.

    Raises:
        LoraFileError: the LoRA to go on from cannot be read, does not fit, or is not finite.
    """
    weights = {} if options.start is None else load_lora(Path(options.start), backbone, expert=expert)
    for name, lora in weights.items():
        if not (lora.A.isfinite().all() and lora.B.isfinite().all()):
            raise LoraFileError(
                f"lora.start {options.start}: the LoRA of {name} is not finite (NaN or infinity). Its training had broken down; "
                "give an earlier one, or leave lora.start out."
            )
    targets = backbone.lora_targets(ffn=options.targets == "attention+ffn")
    adapter = lora_config(weights, targets, rank=options.rank, alpha=options.alpha, lora_dropout=options.dropout)
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    backbone.module.add_adapter(adapter, TRAINED)
    if weights and options.reference == "start":
        _add_reference(backbone.module, weights)
    torch.set_rng_state(state)
    for name, parameter in backbone.module.named_parameters():
        parameter.requires_grad_(f".{TRAINED}." in name and "lora_" in name)
        if "lora_" in name:
            parameter.data = parameter.data.float()
    if weights:
        copy_into_adapters(backbone.module, weights, TRAINED)


def _add_reference(module: nn.Module, weights: Mapping[str, LoraWeights]) -> None:
    """A frozen adapter of the start's own layers, without dropout."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`")  # peft asks whether two are meant
        module.add_adapter(lora_config(weights, rank=next(iter(weights.values())).rank), REFERENCE)
    for name, parameter in module.named_parameters():
        if f".{REFERENCE}." in name:
            parameter.data = parameter.data.float()
    copy_into_adapters(module, weights, REFERENCE)
    module.set_adapter(TRAINED)


@contextmanager
def as_reference(module: nn.Module) -> Iterator[None]:
    """Inside, a network of diffusers with an adapter is what it was before the training: the base model, or the LoRA's start."""
    if REFERENCE in getattr(module, "peft_config", {}):
        module.set_adapter(REFERENCE)
        try:
            yield
        finally:
            module.set_adapter(TRAINED)
        return
    module.disable_adapters()
    try:
        yield
    finally:
        module.enable_adapters()
