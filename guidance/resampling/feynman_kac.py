"""Feynman-Kac steering: particles whose weights are right for p(x0) exp(lambda r(x0)) (arXiv 2501.06848).

N particles of a stochastic sampler are judged at looks 1 to L, the last at the end, and weighted by potentials G; with r_1 ... r_j what was
seen along a particle's way,

    diff   G_j = exp(lambda (r_j - r_{j-1})),   r_0 = 0
    max    G_j = exp(lambda max(r_1, ..., r_j))
    add    G_j = exp(lambda (r_1 + ... + r_j))

but the last, for all three, G_L = exp(lambda r_L) / (G_1 ... G_{L-1}): the product along a way is exp(lambda r(x0)) whatever the reward said before, which
only decides how early particles are told apart. Where few particles count (effective sample size below N / 2) they are drawn anew by weight,
systematically, and weigh alike again; a copy takes its way's rewards and potentials along. The model is asked N T times, the reward N L times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...backbones.flow_path import generator_of
from .draws import effective_size, one, softmax, systematic
from .particles import Look, Outcome, Run, advance, begin, copies, rewards, told
from .settings import ALWAYS, BEST, DIFFERENCE, MAXIMUM, FeynmanKacSettings
from .stochastic import stochastic_step


@dataclass
class Ways:
    """What a row's particles have seen, an entry for each.

    Attributes:
        log_weights: since they were last drawn.
        last, most, total: of the rewards seen: the last (0 before the first), the largest, the sum.
        spent: log(G_1 ... G_j).
    """

    log_weights: np.ndarray
    last: np.ndarray
    most: np.ndarray
    total: np.ndarray
    spent: np.ndarray

    @classmethod
    def of(cls, count: int) -> Ways:
        """Nothing seen yet."""
        zero = np.zeros(count)
        return cls(zero, zero, np.full(count, -np.inf), zero, zero)

    def weigh(self, seen: np.ndarray, settings: FeynmanKacSettings, at_end: bool) -> None:
        """Multiply the weights by the potentials of this look."""
        most, total = np.maximum(self.most, seen), self.total + seen
        if at_end:
            gain = settings.strength * seen - self.spent
        elif settings.potential == DIFFERENCE:
            gain = settings.strength * (seen - self.last)
        else:
            gain = settings.strength * (most if settings.potential == MAXIMUM else total)
        self.log_weights, self.spent = self.log_weights + gain, self.spent + gain
        self.last, self.most, self.total = seen, most, total

    def drawn(self, indices: np.ndarray) -> Ways:
        """Those of the particles that were drawn, which weigh alike."""
        rest = (part[indices] for part in (self.last, self.most, self.total, self.spent))
        return Ways(np.zeros(len(indices)), *rest)


@torch.no_grad()
def feynman_kac(run: Run, x: Tensor, noise: Tensor | None, settings: FeynmanKacSettings) -> Outcome:
    """Sample with steering.

    The particles begin with noises of their own; the first with the clip's. Where ``noise`` is 0 or None, as in the second of two samplers, all
    begin with x and differ by the stochastic sampler's noise.

    Args:
        x: [B, C, T, H, W] at the first noise level.
        noise: the noise in x, like x.

    Returns:
        all particles, with their weights.

    Raises:
        GuidanceError: see ``RewardTotal``.
    """
    rows = begin(run, x, noise, settings.count, spread=1.0)
    # A stream for each place, not for each way: the noise of a place is the plain sampler's, and copies part at once.
    streams = [[generator_of("noise", *key, place) for place in range(settings.count)] for key in run.keys]
    ways = [Ways.of(len(row)) for row in rows]
    looks: list[list[Look]] = [[] for _ in rows]
    planned = settings.look_steps(run.steps)
    for step in range(run.steps):
        level, following = run.levels[step], run.levels[step + 1]

        def moved(whose, x, v, on=(level, following)):
            drawn = [torch.randn(tuple(x.shape[1:]), generator=streams[row][place]) for row, place in whose]
            return stochastic_step(x, v, *on, settings.eta, torch.stack(drawn).to(x))

        advance(run, rows, step, moved)
        done = step + 1
        if done in planned and settings.count > 1:
            for row, seen in enumerate(rewards(run, rows, following)):
                ways[row].weigh(seen, settings, at_end=done == run.steps)
                weights = softmax(ways[row].log_weights)
                numbers = tuple(particle.number for particle in rows[row])
                few = effective_size(weights) < len(weights) / 2
                if done < run.steps and (few or settings.resampling == ALWAYS):
                    indices = systematic(weights, generator_of("feynman-kac", *run.keys[row], done))
                    rows[row], ways[row] = copies(rows[row], indices), ways[row].drawn(indices)
                left = tuple(particle.number for particle in rows[row])
                looks[row].append(Look(done, numbers, tuple(seen.tolist()), tuple(weights.tolist()), left))
        told(run, rows, done, [int(own.last.argmax()) for own in ways])
    final = [softmax(own.log_weights) for own in ways]
    if settings.pick == BEST:
        chosen = [int(own.last.argmax()) for own in ways]
    else:
        chosen = [one(own, generator_of("pick", *key)) for own, key in zip(final, run.keys, strict=True)]
    return Outcome(rows, final, chosen, looks)
