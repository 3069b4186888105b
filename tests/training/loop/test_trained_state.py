"""What a checkpoint holds: enough to go on bit for bit, also for parts that have had no gradient yet."""

import copy

import pytest
import torch
from torch import nn

from videoalign.training.loop.trained_state import load_trained_state, trained_state


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.trunk, self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 1), nn.Linear(4, 1)
        self.trunk.bias.requires_grad_(False)

    def forward(self, x, both):
        hidden = torch.tanh(self.trunk(x))
        return self.first(hidden) + (self.second(hidden) if both else 0)


def begin():
    model = TwoHeads()
    decayed = [model.second.weight, model.trunk.weight]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": [*model.first.parameters(), model.second.bias]}]
    return model, torch.optim.AdamW(groups, lr=0.05)


def train(model, optimizer, steps, both):
    x = torch.linspace(-1, 1, 8).view(2, 4)
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        model(x, both).square().sum().backward()
        optimizer.step()


def assert_same(model, expected):
    for name, value in expected.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


@pytest.mark.parametrize("form", ["ours", "0.1.0"])
@pytest.mark.parametrize("steps", [0, 3])
def test_a_run_goes_on_bit_for_bit_where_a_head_is_first_used_afterwards(form, steps):
    whole, optimizer = begin()
    train(whole, optimizer, steps, both=False)
    state = copy.deepcopy(trained_state(whole, optimizer, sharded=False))
    assert set(state["weights"]) == {name for name, p in whole.named_parameters() if p.requires_grad}
    if form == "0.1.0":  # parameters by number
        state["optimizer"] = copy.deepcopy(optimizer.state_dict())
    train(whole, optimizer, 3, both=True)

    resumed, fresh = begin()
    with torch.no_grad():
        resumed.first.weight.fill_(7)
    load_trained_state(resumed, fresh, state, sharded=False)
    train(resumed, fresh, 3, both=True)
    assert_same(resumed, whole)


def test_asking_for_a_state_before_the_first_step_changes_nothing():
    model, optimizer = begin()
    assert trained_state(model, optimizer, sharded=False)["optimizer"]["state"] == {}
    assert not optimizer.state
    assert_same(model, begin()[0])
