"""Frozen weights in 8 bits or in main memory: the same network and the same gradients."""

import pytest
import torch
from tiny_wan import noised, tiny_wan
from torch import nn

from videoalign.training.flow.adapter import add_adapter
from videoalign.training.flow.config import LoraOptions
from videoalign.training.flow.flow_module import FlowModule
from videoalign.training.flow.frozen_weights import FrozenLinear, quantised, store_frozen
from videoalign.training.flow.methods.sft import FlowSft, SftOptions


def test_a_quantised_matrix_is_itself_to_within_the_step_of_eight_bits():
    weight = torch.randn(32, 48, generator=torch.Generator().manual_seed(0)) * torch.logspace(-4, 1, 32)[:, None]
    stored, scale = quantised(weight)
    assert stored.dtype == torch.float8_e4m3fn
    error = (stored.float() * scale - weight).abs().amax(1) / weight.abs().amax(1)
    assert error.max() < 1 / 16  # half a step of 3 mantissa bits


@pytest.mark.parametrize("float8", [False, True])
def test_output_and_gradient_are_those_of_a_linear_layer_with_that_weight(float8):
    torch.manual_seed(0)
    layer = nn.Linear(24, 16)
    frozen = FrozenLinear(layer, float8=float8, offload=True)
    plain = nn.Linear(24, 16)
    with torch.no_grad():
        plain.weight.copy_(frozen.weight)
        plain.bias.copy_(layer.bias)
    x = torch.randn(3, 5, 24)
    gradients = []
    for module in (plain, frozen):
        own = x.clone().requires_grad_()
        output = module(own)
        (output**2).sum().backward()
        gradients.append((output.detach(), own.grad))
    assert torch.allclose(gradients[0][0], gradients[1][0], atol=1e-6)
    assert torch.allclose(gradients[0][1], gradients[1][1], atol=1e-5)
    assert (frozen.stored.element_size() == 1) == float8


@pytest.mark.parametrize(
    ("options", "tolerance"), [({"float8": False, "offload": True}, 1e-5), ({"float8": True, "offload": False}, 0.35)]
)
def test_the_adapters_gradient_on_a_video_network_stays_the_same(options, tolerance):
    gradients = []
    for stored in (False, True):
        backbone = tiny_wan(lora=False)
        if stored:
            store_frozen(backbone, **options)
        backbone.module.enable_gradient_checkpointing()
        add_adapter(backbone, LoraOptions(rank=4, alpha=8), seed=0)
        loss, _ = FlowModule(backbone, FlowSft(SftOptions()), 5, 16.0)([noised(2, sides=("chosen",))])
        loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in backbone.module.parameters() if p.requires_grad]))
    assert (gradients[1] - gradients[0]).norm() < tolerance * gradients[0].norm()
    assert any(isinstance(module, FrozenLinear) for module in backbone.module.modules())
