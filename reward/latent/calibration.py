"""What was measured of a latent reward model when its training ended: how right it is and how steep, by noise level.

Guidance needs both. Gradients of the three rewards differ in size from each other and from one noise level to the next,
so weights mean something only after each has been divided by its own scale; and where held-out accuracy is near chance a
gradient is noise, however large it is made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import CheckpointError
from ..dimensions import DIMENSIONS

SHARES = ("accuracy", "within")
"""Tables that say None where nothing was measured."""


@dataclass(frozen=True)
class Calibration:
    """Measurements by dimension (VQ, MQ, TA) and by bin of sigma (0 clean, 1 noise).

    Attributes:
        edges: bounds of the bins in sigma, ascending, first 0, last 1; bin i is [edges[i], edges[i + 1]].
        accuracy: accuracy[dimension][bin], share of held-out pairs with a winner that are ranked right, 0 to 1; both
            clips of a pair at the same sigma and noise. None where ``pairs`` is 0: nothing was measured.
        pairs: pairs[dimension][bin], number of held-out pairs with a winner that were counted.
        gradient_scale: gradient_scale[dimension][bin], mean over held-out noisy latents x_t of
            ||grad_x r||_2 * sqrt(n), n = number of elements of one latent [C, T, H, W], r in raw reward units. A reward
            that averages over the latent has gradient elements that shrink as 1/n, so this does not depend on the
            clip's size; ``gradient_rms`` gives what to divide a gradient by. 0 where nothing was measured.
        mean, std: by dimension, of the raw rewards of held-out latents over all sigma; r -> (r - mean) / std. Both 0 where
            nothing was measured.
        within: within[dimension][bin], mean over prompts of the accuracy on the pairs of that prompt's clips, each clip with noise
            of its own, as the seeds of a search have it; None where ``prompts`` is 0. Empty in files of before.
        prompts: prompts[dimension][bin], number of prompts with two clips that differ.
    """

    edges: tuple[float, ...]
    accuracy: Mapping[str, tuple[float | None, ...]]
    pairs: Mapping[str, tuple[int, ...]]
    gradient_scale: Mapping[str, tuple[float, ...]]
    mean: Mapping[str, float]
    std: Mapping[str, float]
    within: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    prompts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        bins = len(self.edges) - 1
        if bins < 1 or self.edges[0] != 0 or self.edges[-1] != 1 or list(self.edges) != sorted(set(self.edges)):
            raise CheckpointError(f"bin edges {list(self.edges)} must ascend from 0 to 1.")
        for name in self._tables():
            table = getattr(self, name)
            if set(table) != set(DIMENSIONS) or any(len(row) != bins for row in table.values()):
                raise CheckpointError(
                    f"{name} must have {bins} numbers (one a bin) for each of {', '.join(DIMENSIONS)}."
                )
            numbers = [value for row in table.values() for value in row if value is not None or name not in SHARES]
            if not all(math.isfinite(value) and value >= 0 for value in numbers):
                raise CheckpointError(f"{name} holds a number that is negative or not finite.")
        for name in ("mean", "std"):
            if set(getattr(self, name)) != set(DIMENSIONS):
                raise CheckpointError(f"{name} must have one number for each of {', '.join(DIMENSIONS)}.")

    def bin(self, sigma: float) -> int:
        """Index of the bin that sigma in [0, 1] falls into; an inner edge belongs to the bin above it."""
        inner = self.edges[1:-1]
        return sum(sigma >= edge for edge in inner)

    def gradient_rms(self, dimension: str, sigma: float, elements: int) -> float:
        """Expected root mean square of the elements of grad_x r, for latents of ``elements`` numbers at noise level sigma.

        Interpolated between the bins' centres. grad / gradient_rms(...) has elements of about 1 whatever the dimension,
        the reward model and the clip's size. 0 where nothing was measured.
        """
        return self._interpolated(self.gradient_scale[dimension], sigma) / elements

    def confidence(self, dimension: str, sigma: float) -> float:
        """2 * accuracy - 1, at least 0: 1 never wrong, 0 chance. 1 where nothing was measured. Interpolated."""
        return self._interpolated(
            [1.0 if share is None else max(0.0, 2 * share - 1) for share in self._shares(dimension)], sigma
        )

    def overall_accuracy(self, dimension: str) -> float | None:
        """Accuracy over all bins that were measured, each bin counting the same; None without any."""
        return _mean(self._shares(dimension))

    def within_accuracy(self, dimension: str) -> float | None:
        """``within`` over all bins that were measured, each bin counting the same; None without any."""
        return _mean(self.within.get(dimension, ()))

    def is_measured(self, dimension: str) -> bool:
        """Whether anything is known of a dimension: how right it is and how steep, at one noise level at least."""
        return self.overall_accuracy(dimension) is not None and any(self.gradient_scale[dimension])

    def _shares(self, dimension: str) -> list[float | None]:
        """Accuracy by bin; version 0.1.0 wrote 0.5 where no pair was counted, which is no measurement."""
        rows = zip(self.accuracy[dimension], self.pairs[dimension], strict=True)
        return [share if count else None for share, count in rows]

    def to_dict(self) -> dict:
        """A JSON-ready dictionary that ``from_dict`` reads."""
        tables = {
            name: {dimension: list(getattr(self, name)[dimension]) for dimension in DIMENSIONS}
            for name in self._tables()
        }
        tables["accuracy"] = {dimension: self._shares(dimension) for dimension in DIMENSIONS}
        return {"edges": list(self.edges), **tables, "mean": dict(self.mean), "std": dict(self.std)}

    @classmethod
    def from_dict(cls, values: Mapping) -> Calibration:
        """Inverse of ``to_dict``.

        Raises:
            CheckpointError: an entry is missing, of the wrong length, or not a number.
        """
        try:
            return cls(
                edges=tuple(map(float, values["edges"])),
                accuracy=_shares_from(values["accuracy"]),
                pairs=_counts_from(values["pairs"]),
                gradient_scale={
                    dimension: tuple(map(float, row)) for dimension, row in values["gradient_scale"].items()
                },
                mean={dimension: float(value) for dimension, value in values["mean"].items()},
                std={dimension: float(value) for dimension, value in values["std"].items()},
                within=_shares_from(values.get("within", {})),
                prompts=_counts_from(values.get("prompts", {})),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"the calibration cannot be read ({error!r}).") from None

    def _tables(self) -> list[str]:
        """Names of what has a number for each dimension and bin."""
        return ["accuracy", "pairs", "gradient_scale", *(("within", "prompts") if self.within or self.prompts else ())]

    def _interpolated(self, row: Sequence[float], sigma: float) -> float:
        centres = [(low + high) / 2 for low, high in zip(self.edges, self.edges[1:], strict=False)]
        if sigma <= centres[0]:
            return row[0]
        for left, right, low, high in zip(centres, centres[1:], row, row[1:], strict=False):
            if sigma <= right:
                return low + (high - low) * (sigma - left) / (right - left)
        return row[-1]


def _mean(shares: Sequence[float | None]) -> float | None:
    measured = [share for share in shares if share is not None]
    return sum(measured) / len(measured) if measured else None


def _shares_from(rows: Mapping) -> dict[str, tuple[float | None, ...]]:
    return {
        dimension: tuple(None if share is None else float(share) for share in row) for dimension, row in rows.items()
    }


def _counts_from(rows: Mapping) -> dict[str, tuple[int, ...]]:
    return {dimension: tuple(map(int, row)) for dimension, row in rows.items()}


def even_edges(bins: int) -> tuple[float, ...]:
    """Bounds of ``bins`` equal bins of [0, 1]."""
    return tuple(index / bins for index in range(bins + 1))
