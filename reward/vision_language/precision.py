"""In how many bits a judge's weights are kept, beside the type that it computes in."""

from __future__ import annotations

from typing import Literal, get_args

from torch import nn

from ...backbones.frozen_linear import Form, FrozenLinear
from ...errors import CheckpointError

Bits = Literal["auto", "8bit", "4bit"]
"""auto: all in the type of the arithmetic."""
_FORMS: dict[str, Form] = {"8bit": "float8", "4bit": "nf4"}


def check_bits(bits: str) -> None:
    """Refuse an unknown precision, and 4 bits where the package for them is missing, before anything large is read.

    Raises:
        CheckpointError: there is no such precision.
        VideoAlignError: 4 bits need bitsandbytes.
    """
    if bits not in get_args(Bits):
        raise CheckpointError(f"Weights cannot be kept in {bits!r}; choose among {', '.join(get_args(Bits))}.")
    if bits == "4bit":
        from ...backbones.stored_weights import bitsandbytes_for

        bitsandbytes_for("A judge in 4 bits", "8bit")


def in_fewer_bits(block: nn.Module, bits: str) -> None:
    """Replace the linear layers inside ``block`` by ones in 8 or 4 bits; nothing for auto.

    Their size stands in the state dict, so that a memory manager counts them.
    """
    if bits == "auto":
        return
    for name, layer in list(block.named_modules()):
        if type(layer) is nn.Linear:
            parent, _, leaf = name.rpartition(".")
            setattr(block.get_submodule(parent), leaf, FrozenLinear(layer, _FORMS[bits], offload=False, counted=True))
