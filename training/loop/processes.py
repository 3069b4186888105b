"""The processes of a run, as accelerate sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from accelerate import PartialState


def process_state() -> PartialState:
    """This process among those that torchrun or accelerate launch started.

    Whoever asks first decides: accelerate joins processes without a GPU (over gloo) only when it is told to use the CPU, and
    otherwise each would train alone.
    """
    from accelerate import PartialState

    accelerators = getattr(torch, "accelerator", None)  # torch 2.6 and newer
    gpu = torch.cuda.is_available() or (accelerators is not None and accelerators.is_available())
    return PartialState(cpu=not gpu)
