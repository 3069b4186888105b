"""The held-out number that a run is judged by, from evaluation to evaluation: which was best, and when to stop waiting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


class Evaluations:
    """What each evaluation gave; part of a checkpoint, so that every process and every resumed run knows the same.

    Args:
        name: of the number, more is better; None where nothing is held out.
        patience: evaluations without a better number after which a run ends; None: it never does.
    """

    def __init__(self, name: str | None, patience: int | None = None) -> None:
        self.name, self.patience = name, patience
        self.values: list[tuple[int, float]] = []

    def add(self, step: int, numbers: Mapping[str, float]) -> None:
        """Take in an evaluation; one of the same step, which is made again, takes its place."""
        value = numbers.get(self.name or "", math.nan)
        if math.isfinite(value):
            self.values = [one for one in self.values if one[0] < step] + [(step, value)]

    def restore(self, stored: Sequence[Sequence[float]], step: int) -> None:
        """Those of a checkpoint, as ``stored``; ``step`` is its own."""
        self.values = [(int(at), float(value)) for at, value in stored if at <= step]

    @property
    def stored(self) -> list[list[float]]:
        """For a checkpoint."""
        return [[step, value] for step, value in self.values]

    @property
    def best(self) -> tuple[int, float] | None:
        """Step and number of the best evaluation, the first of equals; None before any."""
        return max(self.values, key=lambda one: (one[1], -one[0]), default=None)

    @property
    def best_before_the_end(self) -> tuple[int, float] | None:
        """The best where the last evaluation is worse than it; None where there is nothing better to go back to."""
        return self.best if self.best is not None and self.best[1] > self.values[-1][1] else None

    @property
    def exhausted(self) -> bool:
        """Whether there were ``patience`` evaluations since the best."""
        if self.patience is None or self.best is None:
            return False
        return sum(step > self.best[0] for step, _ in self.values) >= self.patience
