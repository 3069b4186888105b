"""A network of twice the width that computes the same."""

import pytest
import torch

from videoalign.micro.video.flow_training import FlowTraining, new_dit, text_batch
from videoalign.micro.video.widening import double

CAPTIONS = ["one red circle moves left over a plain grey ground", ""]


@pytest.fixture(scope="module")
def networks():
    dit = new_dit(FlowTraining(ffn=32, blocks=2), seed=0)
    for number, (name, value) in enumerate(dit.named_parameters()):
        if name.endswith(("bias", "scale_shift_table", "norm2.weight")) or "proj_out" in name or "norm_" in name:
            value.data += 0.3 * torch.randn(value.shape, generator=torch.Generator().manual_seed(number))
    return dit, double(dit, seed=1)


def outputs(dit):
    x = torch.randn(2, 16, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    return dit(x, torch.tensor([500.0, 900.0]), text_batch(CAPTIONS)).sample


def test_it_computes_the_same(networks):
    narrow, wide = (outputs(dit).detach() for dit in networks)
    assert narrow.std() > 0.1
    # Sums of twice as many terms in float32, through some 30 layers.
    torch.testing.assert_close(wide, narrow, rtol=1e-4, atol=1e-4)


def test_it_is_twice_as_wide(networks):
    narrow, wide = (dit.config for dit in networks)
    assert wide.num_attention_heads == 2 * narrow.num_attention_heads and wide.ffn_dim == 2 * narrow.ffn_dim
    assert (wide.text_dim, wide.in_channels, wide.num_layers) == (
        narrow.text_dim,
        narrow.in_channels,
        narrow.num_layers,
    )


def test_its_two_halves_learn_different_things(networks):
    """Equal shares would give both halves the same gradients for ever."""
    _, wide = networks
    outputs(wide).square().sum().backward()
    gradient = wide.blocks[0].ffn.net[0].proj.weight.grad
    first, second = gradient.chunk(2)
    assert (first - second).norm() > 0.1 * first.norm()
