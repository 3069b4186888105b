"""Counting what a piece of torch code does: its operations, and the most memory that its tensors fill at once.

Under torch's ``FakeTensorMode`` the same code runs on tensors that have shapes and no content, so that a step of a network of
14 billion weights is counted in seconds on a CPU. Memory is that of storages, from the operation that makes one to the moment
when nobody refers to it; what an operation needs inside of itself is not seen, see ``BETWEEN``.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

GB = 1e9
BETWEEN = 0.15
"""Beside what is counted: kernels' workspaces, and what the allocator cannot use for its pieces; an estimate."""
# A new peak by this share is believed only after a garbage collection: exceptions keep frames, and frames tensors.
_COLLECT_ABOVE = 1.01


class Count(TorchDispatchMode):
    """Inside of it every operation is counted.

    Args:
        held: tensors that are there from the beginning; they are no part of ``peak``.

    Attributes:
        operations: floating-point operations of matrix products, convolutions and attention; a multiply-add counts as two.
        peak: most bytes that were alive at once, of what was made inside.
    """

    def __init__(self, held: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.operations = 0
        self.peak = 0
        self._alive: dict[int, int] = {}
        self._now = 0
        for tensor in held:
            self._alive[tensor.untyped_storage()._cdata] = 0

    def __enter__(self):
        gc.collect()
        gc.freeze()  # what is there already need not be looked through again
        return super().__enter__()

    def __exit__(self, *error):
        gc.unfreeze()
        return super().__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        packet = getattr(func, "_overloadpacket", None)
        if packet in flop_registry:
            self.operations += int(flop_registry[packet](*args, **kwargs, out_val=out))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._see(tensor)
        return out

    def _see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._alive:
            return
        size = storage.nbytes()
        self._alive[key] = size
        self._now += size
        weakref.finalize(storage, self._gone, key)
        if self._now > self.peak * _COLLECT_ABOVE:
            gc.collect()
        self.peak = max(self.peak, self._now)

    def _gone(self, key: int) -> None:
        self._now -= self._alive.pop(key, 0)


def with_between(size: float) -> float:
    """Bytes that are needed for so many that are counted."""
    return size * (1 + BETWEEN)


def without_content(module: torch.nn.Module) -> None:
    """Replace the parameters and buffers of a module on the meta device by fake ones on the CPU; in a ``FakeTensorMode``.

    (Fake tensors of a GPU cannot be indexed in a CPU build of torch.)
    """
    for part in module.modules():
        for name, value in list(part._parameters.items()):
            if value is not None:
                made = torch.empty(value.shape, dtype=value.dtype, device="cpu")
                part._parameters[name] = torch.nn.Parameter(made, requires_grad=value.requires_grad)
        for name, value in list(part._buffers.items()):
            if value is not None:
                part._buffers[name] = torch.empty(value.shape, dtype=value.dtype, device="cpu")
