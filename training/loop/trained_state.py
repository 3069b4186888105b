"""What a checkpoint holds of a module and its optimizer: whole tensors on the CPU, also where both are in shards (FSDP).

torch.distributed.checkpoint gathers the shards and cuts whole tensors into them again, so a state can be resumed with any
number of processes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)


def trained_state(module: nn.Module, optimizer: torch.optim.Optimizer, sharded: bool) -> dict[str, Any]:
    """``weights``: name -> trained parameter; ``optimizer``: its ``state_dict`` by the same names.

    Of a module in shards every process has to ask at the same time; the first one gets the tensors, others nothing.
    """
    options = _options(sharded)
    weights = trained_weights(module, sharded)
    # Before the first step there is nothing to keep, and torch would take a step without gradients to make something.
    moments = get_optimizer_state_dict(module, optimizer, options=options) if optimizer.state else {}
    return {"weights": weights, "optimizer": moments or {"state": {}, "param_groups": []}}


def trained_weights(module: nn.Module, sharded: bool) -> dict[str, Any]:
    """Name -> trained parameter; as ``trained_state`` gives it."""
    names = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    state = get_model_state_dict(module, options=_options(sharded))
    return {name: value for name, value in state.items() if name in names}


def set_weights(module: nn.Module, weights: dict[str, Any], sharded: bool) -> None:
    """Put trained weights back; every process has to bring the same."""
    set_model_state_dict(module, dict(weights), options=StateDictOptions(full_state_dict=sharded, strict=False))


def _options(sharded: bool) -> StateDictOptions:
    return StateDictOptions(full_state_dict=sharded, cpu_offload=True, ignore_frozen_params=True)


def load_trained_state(
    module: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any], sharded: bool
) -> None:
    """Put what ``trained_state`` gave back; every process has to bring the same.

    Parameters that have had no gradient yet have no state, and get none (``strict``).
    """
    options = StateDictOptions(full_state_dict=sharded, strict=False)
    if state["optimizer"]["state"]:
        moments = _by_name(state["optimizer"], module, optimizer)
        set_optimizer_state_dict(module, optimizer, moments, options=options)
    set_weights(module, state["weights"], sharded)


def _by_name(moments: dict[str, Any], module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """States of version 0.1.0 number the optimizer's parameters, in the order of its groups."""
    if not all(isinstance(key, int) for key in moments["state"]):
        return moments
    names = {parameter: name for name, parameter in module.named_parameters()}
    order = [names[parameter] for group in optimizer.param_groups for parameter in group["params"]]
    return {
        "state": {order[number]: values for number, values in moments["state"].items()},
        "param_groups": [
            {**group, "params": [order[number] for number in group["params"]]} for group in moments["param_groups"]
        ],
    }
