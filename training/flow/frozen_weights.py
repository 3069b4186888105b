"""The frozen matrices of a backbone's blocks in 8 bits, in main memory, or both; gradients pass through them as before.

A frozen weight is needed in the forward pass and once more in the backward pass, for the gradient of the layer's input. Each
time it is fetched and brought back to full precision for that one multiplication, and autograd keeps the stored form only.
(With diffusers' layerwise casting the graph keeps every upcast weight until its backward pass, and there are no scales.)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...backbones.backbone import Backbone

FLOAT8 = torch.float8_e4m3fn
LARGEST = 448.0  # of float8_e4m3fn


class FrozenLinear(nn.Linear):
    """A linear layer whose weight is kept elsewhere or in fewer bits; it takes the place of ``layer``.

    Args:
        float8: store it as float8_e4m3fn with one float32 scale per output row.
        offload: keep it in main memory (pinned where there is a GPU), wherever the network is moved.
    """

    def __init__(self, layer: nn.Linear, float8: bool, offload: bool) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features, self.compute_dtype = (
            layer.in_features,
            layer.out_features,
            layer.weight.dtype,
        )
        weight, scale = quantised(layer.weight.detach()) if float8 else (layer.weight.detach(), None)
        if offload:
            weight = weight.cpu()
            self.stored = weight.pin_memory() if torch.cuda.is_available() else weight  # no buffer: it does not move
        else:
            self.register_buffer("stored", weight, persistent=False)
        self.register_buffer("scale", scale, persistent=False)
        self.bias = layer.bias

    def fetched(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """The weight [out, in] on a device in full precision, made anew each time."""
        weight = self.stored.to(device, non_blocking=True).to(self.compute_dtype)
        if self.scale is not None:
            weight = weight * self.scale.to(device, self.compute_dtype)
        return weight.to(dtype)

    @property
    def weight(self) -> Tensor:
        """The weight where it is stored; peft asks for its type and device."""
        return self.fetched(self.stored.device, self.compute_dtype)

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


def quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
    """float8_e4m3fn [out, in] and the float32 scale of each row [out, 1]; their product is ``weight`` to about 3 %."""
    scale = weight.float().abs().amax(1, keepdim=True).clamp(min=1e-12) / LARGEST
    return (weight.float() / scale).to(FLOAT8), scale


def store_frozen(backbone: Backbone, float8: bool, offload: bool) -> None:
    """Replace the linear layers of the blocks by ``FrozenLinear``; before the adapter is put on."""
    for block in backbone.blocks:
        for name, layer in list(block.named_modules()):
            if type(layer) is nn.Linear:
                parent, _, leaf = name.rpartition(".")
                setattr(block.get_submodule(parent), leaf, FrozenLinear(layer, float8, offload))
