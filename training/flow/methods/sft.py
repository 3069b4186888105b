"""Train a LoRA on the chosen clips alone.

Supervised fine-tuning: the plain flow loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from ....cli.options import CommandConfig
from ....preferences.preference_file import ResolvedPair
from ..config import DataConfig
from ..method import Method, Network, NoisedClips, flow_error
from ..rows import FlowRow, preference_rows


class SftOptions(CommandConfig):
    """The loss of supervised fine-tuning has no options."""


class FlowSft(Method):
    """loss = weight || v_theta - (x_1 - x_0) ||^2, mean over the latent elements."""

    name = "sft"
    options_class = SftOptions
    sides = ("chosen",)

    def rows(self, sources: Sequence[ResolvedPair], data: DataConfig) -> tuple[list[FlowRow], str]:
        """The chosen clip of every pair."""
        rows, counts = preference_rows(sources, data)
        chosen = [replace(row, clips={"chosen": row.clips["chosen"]}, target=1.0) for row in rows]
        return (
            chosen,
            f"{len(rows)} chosen clips of {len(sources)} pairs ({counts['tie']} ties, {counts['invalid']} invalid)",
        )

    def __call__(self, network: Network, batch: NoisedClips) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of each clip [B], and its measures."""
        velocity = network.velocity(batch.noisy("chosen"), batch.sigma, batch.conditioning)
        error = flow_error(velocity, batch.velocity("chosen"), "mean")
        return batch.weight * error, {"error": error.detach()}


METHOD = FlowSft
