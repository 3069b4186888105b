"""Train a LoRA by reward-weighted regression.

Every clip counts by its reward (paper, Eq. 9; the discrete weights are LiFT's, arXiv 2412.04814). Takes pairs with scores, or
the output of videoalign score with several clips of each prompt; of any judges: rwr.mark names the mark that is the reward, rwr.weight
several, whose weighted z-scores among the clips of a prompt are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ....preferences.preference_file import ResolvedPair
from ....reward.weight_options import named_weights
from ....reward.weights import RewardWeights
from ..config import DataConfig
from ..method import Method, Network, NoisedClips, flow_error
from ..rewards import REWARD, RewardOptions, rewards_of
from ..rows import FlowRow, clip_rows, dimension_weights, marked_clips, scored_clips

if TYPE_CHECKING:
    from torch import Tensor

FEW = 3
"""As much as so few equal clips, or a tenth of all, is too little to learn from."""


class RwrOptions(RewardOptions):
    """How clips are weighted by their reward."""

    weighting: Literal["exponential", "discrete"] = Field(
        "exponential",
        description="exponential: exp(reward / temperature), mean 1 over the data; discrete: LiFT's, a weight for Bad, Normal and Good.",
    )
    temperature: float = Field(1.0, gt=0, description="tau: rewards this much higher weigh e times more.")
    discrete_weights: tuple[float, float, float] = Field(
        (0.05, 0.2, 0.9), description="Weights of a dimension that is Bad, Normal, Good; a clip's is their mean (LiFT)."
    )
    discrete_levels: tuple[float, float] = Field(
        (0.5, 1.5),
        description="A score below the first is Bad, from the second on Good. Imported LiFT ratings are 0, 1, 2.",
    )
    real_clips: Path | None = Field(
        None, description="JSONL file of real clips, {path, prompt} a line, for LiFT's additional term."
    )
    real_weight: float = Field(1.0, ge=0, description="Factor of the flow loss on real clips.")


class FlowRwr(Method):
    """loss = weight(r) || v_theta - (x_1 - x_0) ||^2 [+ real_weight || ... ||^2 on a real clip]; no (1 - sigma)^2 factor."""

    name = "rwr"
    options_class = RwrOptions
    sides = ("clip",)

    def __init__(self, options: RwrOptions) -> None:
        super().__init__(options)
        self.real_clips = [] if options.real_clips is None else clip_rows(options.real_clips, "clip")
        self.description["extra"] = {"weighting": options.weighting, "temperature": options.temperature}

    def rows(self, sources: Sequence[ResolvedPair], data: DataConfig) -> tuple[list[FlowRow], str]:
        """Every clip of the pairs once, weighted by its reward."""
        options, left_out = self.options, 0
        if options.mark or options.weight:
            clips, left_out = rewards_of(
                marked_clips(sources), options.mark, named_weights(options.weight or ()), self.name
            )
        else:
            clips = scored_clips(sources, data)
        if options.weighting == "exponential":
            by_file = RewardWeights(dimension_weights(data))
            named = options.mark or options.weight
            rewards = [scores[REWARD] if named else by_file.scalar(scores) for _, scores in clips]
            weights = exponential_weights(rewards, options.temperature)
        else:
            weights = [
                discrete_weight(list(scores.values()), options.discrete_levels, options.discrete_weights)
                for _, scores in clips
            ]
        rows = [replace(row, weight=row.weight * weight) for (row, _), weight in zip(clips, weights, strict=True)]
        real = f", {len(self.real_clips)} real ones" if self.real_clips else ""
        without = f"; {left_out} without the marks that are asked for are left out" if left_out else ""
        summary = f"{len(rows)} clips with weights {min(weights):.3g} to {max(weights):.3g}{real}{without}"
        return rows, summary + _told(effective_number([row.weight for row in rows]), len(rows))

    def __call__(self, network: Network, batch: NoisedClips) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of each clip [B], and its measures."""
        error = _error(network, batch)
        loss, measures = batch.weight * error, {"error": error.detach()}
        if batch.real is not None:
            real = _error(network, batch.real)
            loss = loss + self.options.real_weight * real
            measures["real_error"] = real.detach()
        return loss, measures


def _error(network: Network, batch: NoisedClips) -> Tensor:
    velocity = network.velocity(batch.noisy("clip"), batch.sigma, batch.conditioning)
    return flow_error(velocity, batch.velocity("clip"), "mean")


def effective_number(weights: Sequence[float]) -> float:
    """How many clips of equal weight say as much: (sum w)^2 / sum w^2, between 1 and their number."""
    squares = sum(weight * weight for weight in weights)
    return sum(weights) ** 2 / squares if squares else 0.0


def _told(effective: float, clips: int) -> str:
    told = f", which count as much as {effective:.3g} equal ones"
    if clips > FEW and effective < max(FEW, clips / 10):
        told += (
            ". WARNING: a few clips have nearly all the weight and will be learnt by heart: raise rwr.temperature (rewards that differ "
            "by it differ e times in weight), or use rwr.weighting = discrete"
        )
    return told


def exponential_weights(rewards: Sequence[float], temperature: float) -> list[float]:
    """exp(r / tau) normalised to a mean of 1 over the data set, without overflow."""
    highest = max(rewards)
    raw = [math.exp((reward - highest) / temperature) for reward in rewards]
    mean = sum(raw) / len(raw)
    return [weight / mean for weight in raw]


def discrete_weight(scores: Sequence[float], levels: Sequence[float], weights: Sequence[float]) -> float:
    """LiFT's weight of a clip: the mean over its dimensions of the weight of Bad, Normal or Good."""
    return sum(weights[sum(score >= level for level in levels)] for score in scores) / len(scores)


METHOD = FlowRwr
