"""In how many bits a judge's weights are kept, beside the type that it computes in."""

from __future__ import annotations

from typing import Literal, get_args

from torch import nn

from ...backbones.fewer_bits import FORMS, check_fewer_bits, keep_in
from ...errors import CheckpointError

Bits = Literal["auto", "8bit", "4bit"]
"""auto: all in the type of the arithmetic."""


def check_bits(bits: str) -> None:
    """Refuse an unknown precision, and 4 bits where the package for them is missing, before anything large is read.

    Raises:
        CheckpointError: there is no such precision.
        VideoAlignError: 4 bits need bitsandbytes.
    """
    if bits not in get_args(Bits):
        raise CheckpointError(f"Weights cannot be kept in {bits!r}; choose among {', '.join(get_args(Bits))}.")
    check_fewer_bits(None if bits == "auto" else bits, "A judge")


def in_fewer_bits(block: nn.Module, bits: str) -> None:
    """Replace the linear layers inside ``block`` by ones in 8 or 4 bits; nothing for auto.

    Their size stands in the state dict, so that a memory manager counts them.
    """
    if bits != "auto":
        keep_in(block, FORMS[bits], counted=True)
