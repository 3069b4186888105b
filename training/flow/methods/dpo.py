"""Train a LoRA from preference pairs with Flow-DPO.

What people (or a reward) chose becomes likelier, the rest less (paper, Eq. 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ....cli.options import CommandConfig
from ....preferences.preference_file import ResolvedPair
from ..config import DataConfig, FlowConfig
from ..early_gradient import can_take_early, with_early_gradient
from ..method import Method, Network, NoisedClips, both, flow_error
from ..preference import preference_logit, preference_loss, preference_measures
from ..rows import FlowRow, preference_rows

MOST_ONE_BY_ONE = 4
"""Of more pairs at once the networks are small: single runs then cost more than running the rejected clips again together."""


class DpoOptions(CommandConfig):
    """The loss of Flow-DPO."""

    beta: float = Field(500.0, gt=0, description="How closely the reference is kept to; with reduction = mean.")
    beta_schedule: Literal["constant", "squared"] = Field(
        "constant",
        description="squared: beta (1 - sigma)^2, which the paper shows to hack the reward; to compare with.",
    )
    reduction: Literal["mean", "sum"] = Field(
        "mean",
        description="Of the squared error over a clip's latent elements; sum needs a beta as many times smaller.",
    )
    sft_weight: float = Field(0.0, ge=0, description="Adds this times the chosen clip's flow error.")
    label_smoothing: float = Field(0.0, ge=0, lt=0.5, description="Probability that a label is wrong.")
    safeguard: bool = Field(
        False,
        description="Scale the rejected clip's gradient so that the chosen one's error cannot rise (Diffusion-SDPO).",
    )
    safeguard_mu: float = Field(
        0.9, ge=0, le=1, description="Share of its own progress that the chosen clip keeps at least, with safeguard."
    )
    backward: Literal["auto", "split", "joint"] = Field(
        "auto",
        description="joint: both clips of a pair at once; split: their graphs never live together, which halves the activations. Same gradient. auto: joint where its count fits the memory that is free.",
    )


class FlowDpo(Method):
    """loss = -logsigmoid(-(beta/2) [(e_theta(w) - e_ref(w)) - (e_theta(l) - e_ref(l))]), w = chosen, l = rejected.

    With label smoothing, ties, the safeguard's lambda and ``sft_weight`` the gradient is c_w grad e(w) + c_l grad e(l):

        c_w =           weight (beta/2) (sigmoid(-logit) - eps) + sft_weight
        c_l = - lambda  weight (beta/2) (sigmoid(-logit) - eps)
    """

    name = "dpo"
    options_class = DpoOptions
    sides = ("chosen", "rejected")

    def __init__(self, options: DpoOptions) -> None:
        if options.backward == "auto":  # nobody has chosen: what takes least
            options = options.model_copy(update={"backward": "split"})
        super().__init__(options)
        self.description |= {"beta": options.beta, "reduction": options.reduction}
        if options.reduction == "mean":
            self.held_out_beta = options.beta

    @classmethod
    def check(cls, options: DpoOptions, config: FlowConfig) -> None:
        """A clip that is run twice, as in shards, would drop other values the second time."""
        if config.lora.dropout and options.backward == "split":
            raise ValueError(
                "lora.dropout needs dpo.backward = joint: a clip that is run twice would drop other values"
            )

    @property
    def passes(self) -> float:
        """With the reference's of both clips."""
        return super().passes + len(self.sides)

    @classmethod
    def ways(cls, options: DpoOptions, config: FlowConfig) -> list[DpoOptions]:
        """Joint and split where the options say neither."""
        if options.backward != "auto":
            return [options]
        named = ("joint",) if config.lora.dropout else ("joint", "split")
        return [options.model_copy(update={"backward": name}) for name in named]

    def rows(self, sources: Sequence[ResolvedPair], data: DataConfig) -> tuple[list[FlowRow], str]:
        """Pairs with a winner, and ties where they are used."""
        rows, counts = preference_rows(sources, data)
        return rows, f"{len(rows)} pairs of {len(sources)} ({counts['tie']} ties, {counts['invalid']} invalid)"

    def __call__(self, network: Network, batch: NoisedClips) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of each pair [B], and its measures."""
        options = self.options
        reference = self._reference(network, batch)
        velocities, errors = self._split(network, batch) if options.backward == "split" else self._joint(network, batch)
        winner, loser = errors
        winner_ref, loser_ref = (
            flow_error(v, batch.velocity(side), options.reduction)
            for side, v in zip(self.sides, reference, strict=True)
        )
        drift = sum(flow_error(v.detach(), ref, "mean") for v, ref in zip(velocities, reference, strict=True)) / 2
        measures = {"drift": drift}
        pushed = loser
        if options.safeguard:
            scale = safeguard_scale(*velocities, *(batch.velocity(side) for side in self.sides), options.safeguard_mu)
            pushed = loser.detach() + scale * (loser - loser.detach())  # the value stays, the gradient is scaled
            measures["loser_scale"] = scale
        logit = preference_logit(winner, winner_ref, pushed, loser_ref, self.beta(batch.sigma))
        target = torch.where(batch.target == 1, 1 - options.label_smoothing, batch.target)
        loss = batch.weight * preference_loss(logit, target) + options.sft_weight * winner
        measures |= preference_measures(logit, batch.target, winner, winner_ref, loser, loser_ref)
        return loss, measures

    def beta(self, sigma: Tensor) -> Tensor:
        """beta of each pair [B]."""
        factor = (1 - sigma) ** 2 if self.options.beta_schedule == "squared" else torch.ones_like(sigma)
        return self.options.beta * factor

    def _reference(self, network: Network, batch: NoisedClips) -> list[Tensor]:
        """In the same portions as the policy's, so that an adapter that does nothing gives exactly no difference."""
        if self.options.backward != "split":
            return list(network.reference(*self._together(batch)).chunk(2))
        one_by_one = _runs_once(network, batch)
        portions = [[batch], [batch.row(number) for number in range(len(batch))] if one_by_one else [batch]]
        return [
            torch.cat([network.reference(part.noisy(side), part.sigma, part.conditioning) for part in parts])
            for side, parts in zip(self.sides, portions, strict=True)
        ]

    def _together(self, batch: NoisedClips) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        x_t = torch.cat([batch.noisy(side) for side in self.sides])
        return x_t, torch.cat([batch.sigma, batch.sigma]), both(batch.conditioning)

    def _joint(self, network: Network, batch: NoisedClips) -> tuple[list[Tensor], list[Tensor]]:
        velocities = list(network.velocity(*self._together(batch)).chunk(2))
        errors = [
            flow_error(v, batch.velocity(side), self.options.reduction)
            for side, v in zip(self.sides, velocities, strict=True)
        ]
        return [v.detach() for v in velocities], errors

    def _split(self, network: Network, batch: NoisedClips) -> tuple[list[Tensor], list[Tensor]]:
        """The rejected clips come first, one at a time: the gradient of each error is kept and its graph is not.

        What it is to be multiplied by is known once the chosen clips have been run, whose graph is then the only one. So no clip is
        run twice, and half the activations are there at once, with a gradient of the adapter for each pair.
        """
        if not _runs_once(network, batch):
            return self._split_by_running_again(network, batch)
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        losers, velocities = [], []
        for number in range(len(batch)):
            one = batch.row(number)
            loser, velocity = with_early_gradient(partial(self._run, network, one, "rejected"), parameters)
            losers.append(loser)
            velocities.append(velocity)
        winner, v_winner = self._run(network, batch, "chosen")
        return [v_winner, torch.cat(velocities)], [winner, torch.cat(losers)]

    def _split_by_running_again(self, network: Network, batch: NoisedClips) -> tuple[list[Tensor], list[Tensor]]:
        """For a network in shards, or many pairs: the rejected clip is run without a graph first, and again when the chosen clip's graph is gone.

        Backward goes through the nodes made last first, hence through all of the chosen clip's before it meets the
        checkpoint, which only then runs the rejected clip again: one more forward pass.
        """
        run = partial(self._run, network, batch)
        loser, v_loser = checkpoint(run, "rejected", use_reentrant=False, preserve_rng_state=False)
        winner, v_winner = run("chosen")
        return [v_winner, v_loser], [winner, loser]

    def _run(self, network: Network, batch: NoisedClips, side: str) -> tuple[Tensor, Tensor]:
        """A side's error [B], and its velocity without a graph."""
        velocity = network.velocity(batch.noisy(side), batch.sigma, batch.conditioning)
        return flow_error(velocity, batch.velocity(side), self.options.reduction), velocity.detach()


def _runs_once(network: Network, batch: NoisedClips) -> bool:
    """Whether no clip is run twice in split mode: of few pairs, since it takes a run and a gradient of the adapter for each."""
    return len(batch) <= MOST_ONE_BY_ONE and can_take_early(network.parameters())


def safeguard_scale(v_w: Tensor, v_l: Tensor, target_w: Tensor, target_l: Tensor, mu: float) -> Tensor:
    """lambda of each pair [B] in [0, 1] (Diffusion-SDPO, arXiv 2511.03317, section 4).

    With g = v - target, the output-space gradient of a side's error up to a common factor, a step along -g_w + lambda g_l
    lowers the winner's error, to first order, by at least ``mu`` of what -g_w alone would, when

        lambda <= (1 - mu) ||g_w||^2 / <g_w, g_l>      where <g_w, g_l> > 0; any lambda otherwise.
    """
    dtype = torch.promote_types(v_w.dtype, torch.float32)
    g_w, g_l = ((v.to(dtype) - target.to(dtype)).flatten(1) for v, target in ((v_w, target_w), (v_l, target_l)))
    along = (g_w * g_l).sum(1)
    bound = (1 - mu) * g_w.square().sum(1) / along.clamp(min=torch.finfo(dtype).tiny)
    return torch.where(along > 0, bound.clamp(max=1), torch.ones_like(along)).detach()


METHOD = FlowDpo
