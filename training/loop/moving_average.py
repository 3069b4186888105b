"""A moving average of the trained weights (EMA): what is judged and written in the place of the last step's, where it is asked for.

After step n an average a of a weight w becomes d a + (1 - d) w with d = min(decay, n / (n + 9)), so that the first steps of a short
run do not hold it at where it began.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .trained_state import set_weights, trained_weights

_LAG = 9  # of the decay behind 1 while there are few steps: 0.1 after one, 0.5 after nine


class MovingAverage:
    """The average of a module's trained parameters. Of shards (FSDP) each process averages its own.

    Args:
        module: its parameters are what the average begins at.
        decay: of the average, below 1; its memory is about 1 / (1 - decay) steps.
        sharded: see ``trained_state``.
    """

    def __init__(self, module: nn.Module, decay: float, sharded: bool) -> None:
        self.module, self.decay, self.sharded, self.updates = module, decay, sharded, 0
        self._average = self._copies()

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are now, after a step."""
        self.updates += 1
        kept = min(self.decay, self.updates / (self.updates + _LAG))
        for name, weight in self._weights().items():
            self._average[name].mul_(kept).add_(weight, alpha=1 - kept)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the module has the averaged weights; afterwards its own again, bit for bit."""
        own = self._copies()
        self._put(self._average)
        try:
            yield
        finally:
            self._put(own)

    def state(self) -> dict[str, Any]:
        """For a checkpoint: whole tensors on the CPU. Of shards every process must ask."""
        with self.applied():  # copies: on a CPU what is given are the parameters themselves
            weights = {name: weight.clone() for name, weight in trained_weights(self.module, self.sharded).items()}
        return {"updates": self.updates, "weights": weights}

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what ``state`` gave; every process has to bring the same. The module's own weights are to be set afterwards."""
        set_weights(self.module, state["weights"], self.sharded)
        self.updates, self._average = state["updates"], self._copies()

    def _weights(self) -> dict[str, Tensor]:
        """The trained parameters, of shards this process's."""
        return {name: _own(weight) for name, weight in self.module.named_parameters() if weight.requires_grad}

    def _copies(self) -> dict[str, Tensor]:
        return {name: weight.clone() for name, weight in self._weights().items()}

    @torch.no_grad()
    def _put(self, values: dict[str, Tensor]) -> None:
        for name, weight in self._weights().items():
            weight.copy_(values[name])


def _own(weight: Tensor) -> Tensor:
    """A parameter's data; of a DTensor the part that lies here."""
    data = weight.detach()
    return data.to_local() if hasattr(data, "to_local") else data
