"""Which rows a step sees: a pure function of the seed and the step, so that any process can resume anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np


class BatchOrder:
    """Shuffled passes over the rows, cut into batches; a last incomplete batch takes rows of the next pass.

    Args:
        groups: for each row, what it belongs with (its prompt, say); rows of a group stay neighbours, so that what they
            share is computed once. None shuffles the rows one by one.
        rows: number of rows.
        batch_size: rows in a batch, over all processes.
        seed: of the shuffles.
    """

    def __init__(self, rows: int, batch_size: int, seed: int, groups: Sequence[object] | None = None) -> None:
        if rows == 0:
            raise ValueError("There is nothing to train on: the data set has no rows.")
        self.rows, self.batch_size, self.seed = rows, batch_size, seed
        members: dict[object, list[int]] = {}
        for row in range(rows):
            members.setdefault(row if groups is None else groups[row], []).append(row)
        self._groups = [np.array(group) for group in members.values()]
        self._pass = lru_cache(maxsize=2)(self._shuffled)

    def batch(self, step: int) -> list[int]:
        """Row indices of step 0, 1, 2, ..."""
        first = step * self.batch_size
        return [
            int(self._pass(number // self.rows)[number % self.rows]) for number in range(first, first + self.batch_size)
        ]

    def _shuffled(self, epoch: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, epoch))
        return np.concatenate([rng.permutation(self._groups[index]) for index in rng.permutation(len(self._groups))])
