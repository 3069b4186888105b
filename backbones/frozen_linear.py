"""A linear layer whose frozen matrix is kept in fewer bits, in main memory, or both; gradients pass through it as before.

A frozen weight is needed in the forward pass and once more in the backward pass, for the gradient of the layer's input. Each
time it is fetched and brought back to full precision for that one multiplication, and autograd keeps the stored form only.
(With diffusers' layerwise casting the graph keeps every upcast weight until its backward pass, and there are no scales.)
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from .stored_weights import STORED

Form = Literal["plain", "float8", "nf4"]


class FrozenLinear(nn.Linear):
    """A linear layer whose weight is kept elsewhere or in fewer bits; it takes the place of ``layer``.

    Args:
        form: plain: as it is; float8: 8 bits with a float32 scale per output row; nf4: 4 bits (``stored_weights``).
        offload: keep it in main memory (pinned where there is a GPU), wherever the network is moved.
        counted: see ``StoredWeight``.

    Raises:
        VideoAlignError: nf4 without bitsandbytes.
    """

    def __init__(self, layer: nn.Linear, form: Form, offload: bool, counted: bool = False) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.stored = STORED[form](layer.weight, offload, counted)
        self.bias = layer.bias

    def fetched(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """The weight [out, in] on a device in full precision, made anew each time."""
        return self.stored.full(device).to(dtype)

    @property
    def weight(self) -> Tensor:
        """The weight where it is stored; peft asks for its type and device."""
        return self.stored.full(self.stored.device)

    def forward(self, x: Tensor) -> Tensor:
        """x W^T + b, [..., in] -> [..., out]."""
        return _FrozenProduct.apply(x, self)


class _FrozenProduct(torch.autograd.Function):
    """A linear layer that saves neither its input nor its weight: only the input's gradient is asked for."""

    @staticmethod
    def forward(ctx, x: Tensor, layer: FrozenLinear) -> Tensor:
        ctx.layer = layer
        bias = None if layer.bias is None else layer.bias.to(x.dtype)
        return nn.functional.linear(x, layer.fetched(x.device, x.dtype), bias)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient @ ctx.layer.fetched(gradient.device, gradient.dtype), None
