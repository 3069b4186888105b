"""Work for an accelerator beside what it is doing: the next clip is brought while the present one is scored."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from .devices import pinned


class SideStream:
    """A device's second queue of work. Several threads may use it at once.

    Args:
        device: an accelerator; one whose module of torch has no streams (MPS) does the same in its only queue.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._module = torch.get_device_module(device)
        self._stream = self._module.Stream(device) if hasattr(self._module, "Stream") else None

    def bring(self, tensor: Tensor, make: Callable[[Tensor], Tensor]) -> Tensor:
        """Copy a CPU tensor to the device and make something of it there; returns when it is there.

        Only the calling thread waits. What is made may be used in the device's main queue at once.
        """
        if self._stream is None:
            return make(tensor.to(self._device))
        with self._module.stream(self._stream):
            made = make(pinned(tensor).to(self._device, non_blocking=True))
        self._stream.synchronize()
        # Its memory is the side queue's: not to be given away there before the main one is done with it.
        made.record_stream(self._module.current_stream(self._device))
        return made


@functools.cache
def side_stream(device: torch.device) -> SideStream:
    """The device's, made when first asked for."""
    return SideStream(device)
