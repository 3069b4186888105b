"""A gradient that is taken at once is the one of the whole graph, and the graph is gone."""

import gc
import weakref

import pytest
import torch
from tiny_wan import noised, tiny_wan
from torch import nn

from videoalign.training.flow import early_gradient, pair_passes
from videoalign.training.flow.early_gradient import can_take_early, with_early_gradient
from videoalign.training.flow.flow_module import FlowModule
from videoalign.training.flow.methods.dpo import DpoOptions, FlowDpo
from videoalign.training.flow.pair_passes import MOST_ONE_BY_ONE


@pytest.fixture
def layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4)).double()


def error(layers, x):
    out = layers(x)
    return out.square().mean(1), out.detach()


def gradients(module, loss):
    module.zero_grad(set_to_none=True)
    loss.backward()
    return [parameter.grad.clone() for parameter in module.parameters() if parameter.requires_grad]


def test_the_gradient_through_what_follows_is_that_of_the_whole_graph(layers):
    x, y = torch.randn(1, 8).double(), torch.randn(1, 8).double()
    parameters = list(layers.parameters())

    def loss(early):
        run = lambda: error(layers, x)  # noqa: E731
        one, _ = with_early_gradient(run, parameters) if early else run()
        other, _ = error(layers, y)
        return torch.sigmoid(3 * (one - other)).sum() + 0.2 * one.square().sum()

    whole, early = (gradients(layers, loss(which)) for which in (False, True))
    for expected, value in zip(whole, early, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-15)


def test_its_graph_is_gone_before_the_backward_pass_which_there_may_be_once(layers):
    kept = []

    class Watched(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.own = Marker()
            kept.append(weakref.ref(ctx.own))
            return x.clone()

        @staticmethod
        def backward(ctx, above):
            return above

    class Marker:
        pass

    def run():
        out = Watched.apply(layers(torch.ones(1, 8).double()))
        return out.square().mean(1), None

    value, _ = with_early_gradient(run, list(layers.parameters()))
    gc.collect()
    assert [one() for one in kept] == [None]
    value.sum().backward(retain_graph=True)
    with pytest.raises(TypeError):
        value.sum().backward()


def test_parameters_without_a_part_in_it_get_none_and_without_gradients_nothing_is_kept(layers):
    idle = nn.Parameter(torch.zeros(3).double())
    value, out = with_early_gradient(lambda: error(layers, torch.ones(1, 8).double()), [*layers.parameters(), idle])
    value.sum().backward()
    assert idle.grad is None and layers[0].weight.grad is not None and not out.requires_grad
    with torch.no_grad():
        value, _ = with_early_gradient(lambda: error(layers, torch.ones(1, 8).double()), list(layers.parameters()))
    assert value.grad_fn is None


def test_under_autocast_it_is_the_gradient_that_a_backward_pass_outside_of_it_gives():
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.Linear(64, 64))
    x = torch.randn(1, 64)

    def loss(early):
        def run():
            out = layers(x)
            with torch.autocast("cpu", enabled=False):  # a part in float32, as networks have
                out = out.float() @ layers[2].weight
            return out.square().mean(1), None

        with torch.autocast("cpu", torch.bfloat16):
            return (with_early_gradient(run, list(layers.parameters())) if early else run())[0].sum()

    whole, early = (gradients(layers, loss(which)) for which in (False, True))
    assert all(torch.equal(*pair) for pair in zip(whole, early, strict=True))


class Counted(FlowModule):
    """Notes how many clips each call of the network has, and whether it can be differentiated."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.calls = []

    def velocity(self, x_t, sigma, conditioning):
        self.calls.append((len(x_t), torch.is_grad_enabled()))
        return super().velocity(x_t, sigma, conditioning)


def calls(backward, monkeypatch=None):
    """The network's calls in the forward pass, the gradients, and its calls by the end of the backward pass."""
    if monkeypatch:
        monkeypatch.setattr(pair_passes, "can_take_early", lambda _parameters: False)
    module = Counted(tiny_wan(moved=True), FlowDpo(DpoOptions(backward=backward)), bins=5, fps=16.0)
    loss, _ = module([noised(2)])
    return module.calls, gradients(module, loss), module.calls


def test_split_runs_no_clip_more_often_than_joint():
    joint, split = ([size for size, _ in calls(backward)[2]] for backward in ("joint", "split"))
    assert joint == [4, 4]  # the reference of both clips of two pairs, and the policy
    assert sum(split) == sum(joint)
    assert sorted(split) == [1, 1, 1, 1, 2, 2]  # rejected clips one by one, in the policy as in the reference


def test_shards_run_the_rejected_clip_again_with_the_same_gradient(monkeypatch):
    _, once, _ = calls("split")
    called, again, _ = calls("split", monkeypatch)
    assert sum(size for size, _ in called) == 10  # one clip of each pair once more
    scale = max(one.abs().max() for one in once)
    for one, other in zip(once, again, strict=True):
        assert torch.allclose(one, other, atol=1e-5 * scale, rtol=1e-4)  # batches of other sizes round differently


def test_a_gradient_that_is_there_is_added_to():
    module = FlowModule(tiny_wan(moved=True), FlowDpo(DpoOptions(backward="split")), bins=5, fps=16.0)
    loss, _ = module([noised(1)])
    once = gradients(module, loss)
    loss, _ = module([noised(1)])
    loss.backward()
    twice = [parameter.grad for parameter in module.parameters() if parameter.requires_grad]
    assert all(torch.allclose(two, 2 * one, rtol=1e-6) for one, two in zip(once, twice, strict=True))


def test_what_is_in_shards_is_recognised():
    from torch.distributed.tensor import DTensor

    assert hasattr(DTensor, "device_mesh") and not hasattr(torch.Tensor, "device_mesh")
    assert can_take_early(nn.Linear(2, 2).parameters())
    assert early_gradient.can_take_early([])


def test_of_many_pairs_the_rejected_clips_are_run_again_together():
    module = Counted(tiny_wan(moved=True), FlowDpo(DpoOptions(backward="split")), bins=5, fps=16.0)
    many = MOST_ONE_BY_ONE + 1
    loss, _ = module([noised(many)])
    gradients(module, loss)
    assert [size for size, _ in module.calls] == [many] * 5
