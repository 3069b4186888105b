"""Particles of several clips, a step at a time: which of them are sampled together, and what begins them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from ...backbones.flow_path import generator_of, velocity_to_x0

Predict = Callable[[Tensor, float, Sequence[int]], Tensor]
"""(x_t [n, C, T, H, W], sigma, the row of each) -> velocity like x_t."""
Total = Callable[[Tensor, float, Sequence[int]], np.ndarray]
"""(x_t [n, C, T, H, W], sigma, the row of each) -> [n] rewards."""
Seen = Callable[[int, Tensor, Tensor], None]
"""(steps done, x [B, C, T, H, W] and x0^ like it of each row's leading particle)."""
Places = Sequence[tuple[int, int]]
"""(row, place in the row) of particles that go together."""
Move = Callable[[Places, Tensor, Tensor], Tensor]
"""(whose, x [n, C, T, H, W], velocity like x) -> x at the next noise level."""


def _unseen(step: int, x: Tensor, clean: Tensor) -> None:
    """Nobody looks on."""


@dataclass(frozen=True)
class Run:
    """What particles are sampled with. A row is a clip of the batch, a search of its own.

    Attributes:
        predict, total: the model and the reward; called with at most ``at_once`` particles of each row, those of a particle number
            together, in the order of the rows.
        levels: noise levels of the flow, falling.
        keys: of each row, what its random numbers depend on: (seed,) or the like.
        at_once: see ``ParticleSettings``.
        seen: told after each step.
    """

    predict: Predict
    total: Total
    levels: Sequence[float]
    keys: Sequence[tuple]
    at_once: int = 1
    seen: Seen = _unseen

    @property
    def steps(self) -> int:
        """How many there are."""
        return len(self.levels) - 1


@dataclass
class Particle:
    """One latent of a row.

    Attributes:
        x: [C, T, H, W] at the noise level that was reached.
        number: of the noise that it began with; 0 is the clip's own.
        clean: x0^ of the last step, like x.
    """

    x: Tensor
    number: int
    clean: Tensor | None = None


Rows = list[list[Particle]]


@dataclass(frozen=True)
class Look:
    """What was seen of a row's particles, and who went on.

    Attributes:
        step: steps done.
        numbers: of the particles.
        rewards: their totals.
        weights: sum 1.
        kept: numbers of those that went on, one entry for each copy.
    """

    step: int
    numbers: tuple[int, ...]
    rewards: tuple[float, ...]
    weights: tuple[float, ...]
    kept: tuple[int, ...]


@dataclass
class Outcome:
    """What came of the batch.

    Attributes:
        rows: the particles that reached the end, by row.
        weights: of each row's particles, sum 1.
        chosen: index of the particle that is the clip, by row.
        looks: by row.
    """

    rows: Rows
    weights: list[np.ndarray]
    chosen: list[int]
    looks: list[list[Look]] = field(default_factory=list)

    @property
    def samples(self) -> Tensor:
        """[B, C, T, H, W], the chosen ones."""
        return torch.stack([row[index].x for row, index in zip(self.rows, self.chosen, strict=True)])


def begin(run: Run, x: Tensor, noise: Tensor | None, count: int, spread: float) -> Rows:
    """``count`` particles of each row: the first is the row's own latent, the others have other noise in it.

    Number i > 0 has the noise sqrt(1 - b^2) z + b eps_i in the place of z.

    Args:
        x: [B, C, T, H, W] at the first noise level: noise, or noise over a latent.
        noise: z, the noise in x, like x; None or 0 where it is not known: then all begin with x.
        spread: b.
    """
    known = noise if noise is not None and bool(noise.any()) else None
    rows: Rows = []
    for row, key in enumerate(run.keys):
        made = [Particle(x[row], 0)]
        for number in range(1, count):
            own = x[row]
            if known is not None:
                eps = torch.randn(tuple(own.shape), generator=generator_of("particle", *key, number)).to(own)
                z = known[row]
                own = own + run.levels[0] * ((math.sqrt(1 - spread**2) - 1) * z + spread * eps)
            made.append(Particle(own, number))
        rows.append(made)
    return rows


def advance(run: Run, rows: Rows, step: int, move: Move) -> None:
    """Take every particle a step on."""
    level = run.levels[step]
    for group in _groups([len(row) for row in rows], run.at_once):
        particles = [rows[row][place] for row, place in group]
        x = torch.stack([one.x for one in particles])
        v = run.predict(x, level, [row for row, _ in group])
        clean = velocity_to_x0(v, x, level)
        for one, own, x0 in zip(particles, move(group, x, v), clean, strict=True):
            one.x, one.clean = own, x0


def rewards(run: Run, rows: Rows, level: float) -> list[np.ndarray]:
    """The total of every particle, by row; of a row with one particle nothing is asked, and 0 stands for it."""
    found = [np.zeros(len(row)) for row in rows]
    for group in _groups([len(row) if len(row) > 1 else 0 for row in rows], run.at_once):
        x = torch.stack([rows[row][index].x for row, index in group])
        for (row, index), value in zip(group, run.total(x, level, [row for row, _ in group]), strict=True):
            found[row][index] = value
    return found


def told(run: Run, rows: Rows, step: int, leading: Sequence[int]) -> None:
    """Show each row's leading particle."""
    ahead = [row[index] for row, index in zip(rows, leading, strict=True)]
    run.seen(
        step, torch.stack([one.x for one in ahead]), torch.stack([one.clean for one in ahead if one.clean is not None])
    )


def copies(row: Sequence[Particle], indices: Sequence[int] | np.ndarray) -> list[Particle]:
    """The particles of these indices, each an object of its own."""
    return [replace(row[index]) for index in indices]


def _groups(counts: Sequence[int], at_once: int) -> Iterator[Places]:
    """Particles that go together: the first ``at_once`` of each row, then the next."""
    for start in range(0, max(counts, default=0), at_once):
        indices = range(start, start + at_once)
        yield [(row, index) for index in indices for row, count in enumerate(counts) if index < count]
