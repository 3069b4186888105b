"""The frozen matrices of a network's layers in fewer bits than it computes in: which forms there are, and the replacing of layers."""

from __future__ import annotations

from typing import Literal

from torch import nn

from .frozen_linear import Form, FrozenLinear
from .stored_weights import bitsandbytes_for

FewerBits = Literal["8bit", "4bit"]
FORMS: dict[str, Form] = {"8bit": "float8", "4bit": "nf4"}


def check_fewer_bits(bits: str | None, what: str) -> None:
    """Refuse 4 bits where the package for them is missing, before anything large is read.

    Raises:
        VideoAlignError: bitsandbytes is not installed; the message begins with ``what``.
    """
    if bits == "4bit":
        bitsandbytes_for(f"{what} in 4 bits", "8bit")


def keep_in(block: nn.Module, form: Form, offload: bool = False, counted: bool = False) -> None:
    """Replace the linear layers inside ``block`` by ``FrozenLinear``; see there."""
    for name, layer in list(block.named_modules()):
        if type(layer) is nn.Linear:
            parent, _, leaf = name.rpartition(".")
            setattr(block.get_submodule(parent), leaf, FrozenLinear(layer, form, offload, counted))
