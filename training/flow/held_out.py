"""Is it learning? Implicit preferences on held-out pairs, always at the same noise levels and with the same noise."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from ..loop.averages import Averages
from .data import FlowData
from .flow_module import FlowModule, binned
from .method import NoisedClips, flow_error
from .preference import preference_logit, preference_loss, preference_measures

SIDES = ("chosen", "rejected")
ENOUGH_TO_TELL, FEWEST = 25, 5
"""Pairs below which chance alone is 0.2 wide on either side, and below which nothing can be told (``diagnostics``)."""


class HeldOut:
    """Judges the network on held-out pairs; what the reference says of them is computed once.

    Args:
        data: held-out pairs, with the sides ``chosen`` and ``rejected``.
        levels: noise levels at which each pair is judged.
        pairs: how many of the pairs are used; None: all.
        beta: of the logit, with the mean over latent elements; accuracy does not depend on it.
    """

    def __init__(
        self, data: FlowData, levels: int, pairs: int | None, beta: float, bins: int, micro_batch_size: int
    ) -> None:
        self.data, self.levels, self.beta, self.bins, self.size = data, levels, beta, bins, micro_batch_size
        self.rows = list(range(len(data)))[:pairs]
        self._reference: dict[tuple[int, int, int], list[torch.Tensor]] = {}

    def suit(self, passes: float, pairs_fixed: bool, levels_fixed: bool) -> None:
        """Fewer levels, then fewer pairs, so that the reference and two evaluations take at most so many passes of one clip; one, if not
        even the fewest would do. The first pairs stay.

        Args:
            pairs_fixed, levels_fixed: these stay as they are.
        """
        there = len(self.rows)
        sizes = [(there, self.levels)]
        if not levels_fixed:
            sizes += [(there, min(self.levels, 2))]
        if not pairs_fixed:
            sizes += [(least, min(levels, self.levels)) for levels, least in ((2, ENOUGH_TO_TELL), (1, FEWEST))]
        for evaluations in (2, 1):
            for least, levels in sizes:
                levels = self.levels if levels_fixed else levels
                affordable = int(passes // (len(SIDES) * (1 + evaluations) * levels))
                if affordable >= least:
                    self.rows = self.rows if pairs_fixed else self.rows[:affordable]
                    self.levels = levels
                    return
        self.rows = self.rows if pairs_fixed else self.rows[:FEWEST]
        self.levels = self.levels if levels_fixed else 1

    @torch.no_grad()
    def measure(
        self, module: FlowModule, rank: int = 0, world: int = 1, as_reference: bool = False
    ) -> Mapping[str, float]:
        """accuracy, margin, loss, winner_error, loser_error over all levels and by bin of noise level; {} without pairs.

        Args:
            as_reference: the network is what its reference is, and need not be run for itself.
        """
        if not self.rows:
            return {}
        mine, share = Averages(), self.rows[rank::world]
        for level in range(self.levels):
            for start in range(0, math.ceil(len(self.rows) / world), self.size):
                # With FSDP all processes must run the network equally often: one that has no row left repeats one in vain.
                rows = share[start : start + self.size]
                for index, group in enumerate(self.data.held_out_batch(rows or self.rows[:1], level, self.levels)):
                    measures = self._measures(module, group, (level, start, index), as_reference)
                    if not rows:
                        continue
                    values = {name: value.tolist() for name, value in measures.items()}
                    mine.add(binned(values, group.sigma.tolist(), self.bins), 0.0)
        if world == 1:
            return mine.means()
        from accelerate.utils import gather_object

        total = Averages()
        for part in gather_object([mine]):
            total.merge(part)
        return total.means()

    def _measures(
        self, module: FlowModule, group: NoisedClips, key: tuple[int, int, int], as_reference: bool
    ) -> dict[str, torch.Tensor]:
        group = group.to(next(module.parameters()).device)
        if key not in self._reference:
            self._reference[key] = [self._error(module.reference, group, side) for side in SIDES]
        winner_ref, loser_ref = self._reference[key]
        errors = self._reference[key] if as_reference else [self._error(module.velocity, group, side) for side in SIDES]
        winner, loser = errors
        logit = preference_logit(winner, winner_ref, loser, loser_ref, self.beta)
        measures = preference_measures(logit, group.target, winner, winner_ref, loser, loser_ref)
        return {"loss": preference_loss(logit, group.target), **measures}

    @staticmethod
    def _error(velocity, group: NoisedClips, side: str) -> torch.Tensor:
        return flow_error(velocity(group.noisy(side), group.sigma, group.conditioning), group.velocity(side), "mean")
