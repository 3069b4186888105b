"""A number whose gradient is taken at once, so that its graph is gone before the next one is built.

Where a loss only scales the gradient of a part by a number that is known later, the part need not be run again for it: its
gradient is as large as the trained parameters, its graph is many times that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ...backbones.devices import autocast

Beside = TypeVar("Beside")


def can_take_early(parameters: Iterable[Tensor]) -> bool:
    """Whether these parameters' gradients can be taken inside of a forward pass: not of shards, which FSDP fetches and reduces itself."""
    return not any(hasattr(parameter, "device_mesh") for parameter in parameters)


def with_early_gradient(
    run: Callable[[], tuple[Tensor, Beside]], parameters: Sequence[Tensor]
) -> tuple[Tensor, Beside]:
    """What ``run`` returns; of its first result, which has one element, the gradient is kept in the place of the graph.

    Args:
        run: (a tensor of one element, anything without a graph).
        parameters: that may have a gradient. It is as large as they are, and goes with the backward pass, of which there may be one.
    """
    if not torch.is_grad_enabled():
        return run()
    beside: list[Beside] = []
    value = _Early.apply(run, beside, *parameters)
    return value, beside[0]


class _Early(torch.autograd.Function):
    """The gradient with respect to each parameter, times what comes from above."""

    @staticmethod
    def forward(ctx: Any, run: Callable, beside: list, *parameters: Tensor) -> Tensor:
        with torch.enable_grad():
            value, other = run()
        # Outside of autocast, as every backward pass: it repeats the types that the forward pass chose.
        with autocast(value.device, enabled=False):
            ctx.gradients = torch.autograd.grad(value, parameters, allow_unused=True)
        beside.append(other)
        return value.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: Tensor) -> tuple:
        # Scaled in their place and handed on, so that they are there once; hence a second pass has nothing to give.
        gradients, ctx.gradients = ctx.gradients, None
        factor = above.sum()
        return (None, None, *(None if one is None else one.mul_(factor) for one in gradients))
