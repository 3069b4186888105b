"""Networks built without their weights, and without torch's compiler.

Under ``torch.device("meta")`` a network has shapes and no content. But what is computed there, such as tables of positions, goes
through decompositions of torch, which import its compiler: two CPU seconds of a process that compiles nothing. Such tables are small,
in no file, and needed afterwards; so they are made on the CPU. And random numbers that are scaled are no numbers at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode

_BEGIN_TABLES = (torch.arange, torch.linspace)
_RANDOM = (torch.randn, torch.rand)
_SCALED = (torch.Tensor.__truediv__, torch.Tensor.__mul__, torch.Tensor.div, torch.Tensor.mul)


@contextmanager
def on_meta() -> Iterator[None]:
    """What is built inside is on the meta device, but for what is computed from numbers in turn."""
    with torch.device("meta"), _TablesOnTheCpu():
        yield


class _TablesOnTheCpu(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in _BEGIN_TABLES and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": "cpu"}
        elif func in _RANDOM and kwargs.keys().isdisjoint({"device", "generator"}):
            func = torch.empty
        elif func in _SCALED and args[0].is_meta and args[0].is_floating_point() and isinstance(args[-1], (int, float)):
            return args[0]
        return func(*args, **kwargs)
