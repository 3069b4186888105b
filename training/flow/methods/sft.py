"""Train a LoRA on the chosen clips alone.

Supervised fine-tuning: the plain flow loss, on the chosen clips of pairs (data.train) or on a list of good clips (data.clips,
as videoalign filter writes it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ....cli.options import CommandConfig
from ....preferences.preference_file import ResolvedPair
from ..config import DataConfig
from ..method import Method, Network, NoisedClips, flow_error
from ..rows import FlowRow, clip_rows, preference_rows

if TYPE_CHECKING:
    from torch import Tensor


class SftOptions(CommandConfig):
    """The loss of supervised fine-tuning has no options."""


class FlowSft(Method):
    """loss = weight || v_theta - (x_1 - x_0) ||^2, mean over the latent elements."""

    name = "sft"
    options_class = SftOptions
    sides = ("chosen",)
    takes_clips = True

    def rows(self, sources: Sequence[ResolvedPair], data: DataConfig) -> tuple[list[FlowRow], str]:
        """The chosen clip of every pair, and every single clip."""
        rows, counts = preference_rows(sources, data)
        chosen = [replace(row, clips={"chosen": row.clips["chosen"]}, target=1.0) for row in rows]
        single = [row for path in data.clips for row in clip_rows(path, "chosen", data.clips_needed)]
        told = f"{len(rows)} chosen clips of {len(sources)} pairs ({counts['tie']} ties, {counts['invalid']} invalid)"
        if data.clips:
            told = f"{len(single)} single clips" + (f", {told}" if data.train else "")
        return chosen + single, told

    def __call__(self, network: Network, batch: NoisedClips) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of each clip [B], and its measures."""
        velocity = network.velocity(batch.noisy("chosen"), batch.sigma, batch.conditioning)
        error = flow_error(velocity, batch.velocity("chosen"), "mean")
        return batch.weight * error, {"error": error.detach()}


METHOD = FlowSft
