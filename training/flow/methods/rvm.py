"""Train a LoRA on all clips of a prompt by their rewards: towards the better ones, away from the worse (signed velocity matching).

Every clip counts, by its advantage over the others of its prompt (arXiv 2608.23664), not only the best and the worst of each. Give all
of them as data.clips (the score file), and pairs of the same prompts as data.train: some are held out to judge the run by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from ....errors import VideoAlignError
from ....preferences.preference_file import ResolvedPair
from ..config import DataConfig
from ..method import Method, Network, NoisedClips, flow_error
from ..rewards import RewardOptions, clip_rewards
from ..rows import FlowRow

if TYPE_CHECKING:
    from torch import Tensor

_SPREAD = 1e-4  # the paper's; added to the deviation of all rewards


class RvmOptions(RewardOptions):
    """The loss of signed velocity matching."""

    scale: float = Field(0.1, gt=0, description="a: how much an advantage of one standard deviation counts.")
    clip: float = Field(5.0, gt=0, description="Advantages are limited to this many standard deviations.")
    anchor: float = Field(
        1e-3,
        ge=0,
        description="b: how closely the reference is kept to. 0 needs only_better: away from a clip alone there is no end.",
    )
    only_better: bool = Field(False, description="Use the clips above their prompt's mean alone.")


class FlowRvm(Method):
    """loss = A || v - v* ||^2 + b || v - v_ref ||^2, means over the latent elements, v* = x_1 - x_0.

    A = a clip((R - mean of its prompt) / (deviation of all + 1e-4), -5, 5). The gradient is twice the paper's
    A (v - v*) + b (v - v_ref), which writes it as a matching of v with a target that is held fixed; Adam does not see the factor. With A = 1 and
    b = 0 it is ``sft``, with A >= 0 and b = 0 it is ``rwr``: the same operations.
    """

    name = "rvm"
    options_class = RvmOptions
    sides = ("clip",)
    takes_clips = True

    def __init__(self, options: RvmOptions) -> None:
        super().__init__(options)
        self.description["extra"] = {"scale": options.scale, "anchor": options.anchor}

    @classmethod
    def check(cls, options: RvmOptions, config: object) -> None:
        """Without an anchor the error of a bad clip grows without end."""
        if options.anchor == 0 and not options.only_better:
            raise ValueError("rvm.anchor = 0 needs rvm.only_better: nothing else would hold the network")

    @property
    def passes(self) -> float:
        """With the reference's, where there is an anchor."""
        return super().passes + bool(self.options.anchor)

    def rows(self, sources: Sequence[ResolvedPair], data: DataConfig) -> tuple[list[FlowRow], str]:
        """Every clip once, weighted by its advantage, which may be negative; clips that are like all others are left out."""
        rewarded, left_out = clip_rewards(sources, data, self.options, self.name)
        advantages = self.advantages([reward for _, reward in rewarded], [row.prompt for row, _ in rewarded])
        rows = [
            replace(row, weight=row.weight * advantage)
            for (row, _), advantage in zip(rewarded, advantages, strict=True)
            if advantage > 0 or (advantage < 0 and not self.options.only_better)
        ]
        if not rows:
            raise VideoAlignError(
                "Every clip is as good as the others of its prompt: there is nothing to learn. Give several clips of each prompt, and another reward."
            )
        better = sum(row.weight > 0 for row in rows)
        without = f"; {left_out} without the marks that are asked for are left out" if left_out else ""
        return (
            rows,
            f"{len(rows)} clips, {better} better than their prompt's mean and {len(rows) - better} worse{without}",
        )

    def advantages(self, rewards: Sequence[float], prompts: Sequence[str]) -> list[float]:
        """A of each clip.

        Args:
            rewards, prompts: of each.
        """
        by_prompt: dict[str, list[float]] = {}
        for reward, prompt in zip(rewards, prompts, strict=True):
            by_prompt.setdefault(prompt, []).append(reward)
        means = {prompt: math.fsum(group) / len(group) for prompt, group in by_prompt.items()}
        middle = math.fsum(rewards) / len(rewards)
        deviation = math.sqrt(math.fsum((reward - middle) ** 2 for reward in rewards) / len(rewards))
        options = self.options
        return [
            options.scale * max(-options.clip, min(options.clip, (reward - means[prompt]) / (deviation + _SPREAD)))
            for reward, prompt in zip(rewards, prompts, strict=True)
        ]

    def __call__(self, network: Network, batch: NoisedClips) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of each clip [B], and its measures."""
        import torch

        x_t = batch.noisy("clip")
        reference = network.reference(x_t, batch.sigma, batch.conditioning) if self.options.anchor else None
        velocity = network.velocity(x_t, batch.sigma, batch.conditioning)
        error = flow_error(velocity, batch.velocity("clip"), "mean")
        loss = batch.weight * error
        nothing = torch.full_like(error.detach(), math.nan)
        better = batch.weight > 0
        measures = {
            "better_error": torch.where(better, error.detach(), nothing),
            "worse_error": torch.where(better, nothing, error.detach()),
        }
        if reference is not None:
            drift = flow_error(velocity, reference, "mean")
            loss = loss + self.options.anchor * drift
            measures["drift"] = drift.detach()
        return loss, measures


METHOD = FlowRvm
