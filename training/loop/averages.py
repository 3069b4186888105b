"""Means over steps, micro batches and processes of numbers that not every micro batch has."""

from __future__ import annotations

from collections.abc import Mapping

Number = float | tuple[float, float]
"""A mean over the rows of a micro batch, or a (mean, weight) of those rows that have the number at all."""


class Averages:
    """Weighted means by name; what has no weight is left out."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, float]] = {}

    def add(self, numbers: Mapping[str, Number], weight: float) -> None:
        """Take in a micro batch: plain numbers count ``weight``, pairs the weight that they bring."""
        for name, number in numbers.items():
            mean, counted = number if isinstance(number, tuple) else (number, weight)
            if counted > 0:
                total, count = self._sums.get(name, (0.0, 0.0))
                self._sums[name] = (total + mean * counted, count + counted)

    def merge(self, other: Averages) -> None:
        """Take in another process's numbers, or another step's."""
        self.add({name: (total / count, count) for name, (total, count) in other._sums.items()}, 0.0)

    def means(self) -> dict[str, float]:
        """Name -> mean."""
        return {name: total / count for name, (total, count) in self._sums.items()}
