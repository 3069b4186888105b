"""The two clips of a pair through the network: both at once, or so that their graphs never live together."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .early_gradient import can_take_early, with_early_gradient
from .method import Network, NoisedClips, Reduction, both, flow_error

SIDES = ("chosen", "rejected")
MOST_ONE_BY_ONE = 4
"""Of more pairs at once the networks are small: single runs then cost more than running the rejected clips again together."""

Passes = tuple[list[Tensor], list[Tensor]]
"""Velocities [B, C, T, H, W] of both sides without a graph, and their errors [B] with one."""


def joint_pass(network: Network, batch: NoisedClips, reduction: Reduction) -> Passes:
    """Both clips of each pair in one batch."""
    velocities = list(network.velocity(*_together(batch)).chunk(2))
    errors = [flow_error(v, batch.velocity(side), reduction) for side, v in zip(SIDES, velocities, strict=True)]
    return [v.detach() for v in velocities], errors


def split_passes(network: Network, batch: NoisedClips, reduction: Reduction) -> Passes:
    """The rejected clips come first, one at a time: the gradient of each error is kept and its graph is not.

    What it is to be multiplied by is known once the chosen clips have been run, whose graph is then the only one. So no clip is
    run twice, and half the activations are there at once, with a gradient of the adapter for each pair.
    """
    if not _runs_once(network, batch):
        return _by_running_again(network, batch, reduction)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    losers, velocities = [], []
    for number in range(len(batch)):
        one = batch.row(number)
        loser, velocity = with_early_gradient(partial(_run, network, one, reduction, "rejected"), parameters)
        losers.append(loser)
        velocities.append(velocity)
    winner, v_winner = _run(network, batch, reduction, "chosen")
    return [v_winner, torch.cat(velocities)], [winner, torch.cat(losers)]


def reference_passes(network: Network, batch: NoisedClips, split: bool) -> list[Tensor]:
    """The reference's velocities of both sides [B, C, T, H, W].

    In the same portions as the policy's, so that an adapter that does nothing gives exactly no difference.
    """
    if not split:
        return list(network.reference(*_together(batch)).chunk(2))
    one_by_one = _runs_once(network, batch)
    portions = [[batch], [batch.row(number) for number in range(len(batch))] if one_by_one else [batch]]
    return [
        torch.cat([network.reference(part.noisy(side), part.sigma, part.conditioning) for part in parts])
        for side, parts in zip(SIDES, portions, strict=True)
    ]


def _together(batch: NoisedClips) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    x_t = torch.cat([batch.noisy(side) for side in SIDES])
    return x_t, torch.cat([batch.sigma, batch.sigma]), both(batch.conditioning)


def _by_running_again(network: Network, batch: NoisedClips, reduction: Reduction) -> Passes:
    """For a network in shards, or many pairs: the rejected clip is run without a graph first, and again when the chosen clip's graph is gone.

    Backward goes through the nodes made last first, hence through all of the chosen clip's before it meets the
    checkpoint, which only then runs the rejected clip again: one more forward pass.
    """
    run = partial(_run, network, batch, reduction)
    loser, v_loser = checkpoint(run, "rejected", use_reentrant=False, preserve_rng_state=False)
    winner, v_winner = run("chosen")
    return [v_winner, v_loser], [winner, loser]


def _run(network: Network, batch: NoisedClips, reduction: Reduction, side: str) -> tuple[Tensor, Tensor]:
    """A side's error [B], and its velocity without a graph."""
    velocity = network.velocity(batch.noisy(side), batch.sigma, batch.conditioning)
    return flow_error(velocity, batch.velocity(side), reduction), velocity.detach()


def _runs_once(network: Network, batch: NoisedClips) -> bool:
    """Whether no clip is run twice in split mode: of few pairs, since it takes a run and a gradient of the adapter for each."""
    return len(batch) <= MOST_ONE_BY_ONE and can_take_early(network.parameters())
