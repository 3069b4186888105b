"""Blocks run again for the gradient: the same gradient from a fraction of the memory, where memory is short."""

from types import SimpleNamespace

import pytest
import torch
from tiny_backbones import CONFIGS, inputs, tiny

from videoalign.reward.latent.gradient_memory import fit_gradient, gradient_bytes
from videoalign.reward.latent.heads import HeadConfig
from videoalign.reward.latent.latent_reward import LatentReward


def gradient_and_kept(reward, x_t, sigma, conditioning):
    """The gradient, and the bytes that autograd keeps for it."""
    kept = {}

    def keep(tensor):
        kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    x_t = x_t.clone().requires_grad_(True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        total = reward.rewards(x_t, sigma, conditioning).sum()
    return torch.autograd.grad(total, x_t)[0], sum(kept.values())


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "wan-flf2v"])
def test_the_gradient_is_the_same_and_less_is_kept(name):
    torch.manual_seed(0)
    trunk = tiny(name)
    reward = LatentReward(trunk, HeadConfig("mean", 8)).requires_grad_(False)
    given = inputs(trunk)
    plain, all_of_it = gradient_and_kept(reward, *given)
    reward.recompute(True)
    assert reward.recomputes
    again, less = gradient_and_kept(reward, *given)
    torch.testing.assert_close(again, plain)
    assert less < 0.7 * all_of_it
    reward.recompute(False)
    assert not reward.recomputes


def test_it_is_chosen_where_the_gradient_would_not_fit(reward):
    model, shape = reward("mean"), (1, 16, 3, 8, 8)
    whole = gradient_bytes(model, shape)
    fit_gradient(model, shape, 5 * whole)  # a fifth of the device
    assert not model.recomputes
    fit_gradient(model, shape, 5 * whole - 5)
    assert model.recomputes and gradient_bytes(model, shape) < whole
    fit_gradient(model, shape, 5 * whole)  # a smaller clip later
    assert not model.recomputes


def test_a_long_clip_of_wan_fits_beside_its_model_on_a_large_card():
    """The size that the estimate is for: eight blocks of Wan 1.3B, 81 frames of 832 x 480, bfloat16."""

    trunk = SimpleNamespace(patch=(1, 2, 2), blocks=range(8), dtype=torch.bfloat16)
    heads = {"VQ": SimpleNamespace(inwards=torch.nn.Linear(1536, 8))}
    model = SimpleNamespace(trunk=trunk, heads=heads, recomputes=False)
    shape = (1, 16, 21, 60, 104)
    assert gradient_bytes(model, shape) == pytest.approx(19.3e9, rel=0.02)
    model.recomputes = True
    assert gradient_bytes(model, shape) < 4e9
