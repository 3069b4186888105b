"""How much each dimension of a judge counts where one number decides for several (linear scalarisation)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..errors import VideoAlignError
from .dimensions import DIMENSIONS


def _paper() -> dict[str, float]:
    return {"VQ": 0.1, "MQ": 0.1, "TA": 0.8}


@dataclass(frozen=True)
class RewardWeights:
    """Weights by dimension, kept as they were given.

    Raw guidance strength uses them as given (0.1 : 0.1 : 0.6 steers less than 0.1 : 0.1 : 0.8); everything else divides
    by their sum.

    Attributes:
        values: by name of the dimension; the paper's operating point by default.

    Raises:
        VideoAlignError: one is negative or not a number, or all are zero.
    """

    values: Mapping[str, float] = field(default_factory=_paper)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", dict(self.values))
        for name, value in self.values.items():
            if not (math.isfinite(value) and value >= 0):
                raise VideoAlignError(f"The weight of {name} is {value}; it must be 0 or more.")
        if not any(self.values.values()):
            raise VideoAlignError(
                f"The weights of {_listed(self.values or DIMENSIONS)} are all 0; give at least one of them a value above 0."
            )

    @classmethod
    def of(cls, VQ: float, MQ: float, TA: float) -> RewardWeights:  # noqa: N803 - names of the dimensions
        """Of VideoReward's dimensions."""
        return cls({"VQ": VQ, "MQ": MQ, "TA": TA})

    def as_given(self, dimensions: Iterable[str] | None = None) -> dict[str, float]:
        """The values unchanged; of ``dimensions``, in their order, 0 for one without a weight."""
        return dict(self.values) if dimensions is None else {name: self.values.get(name, 0.0) for name in dimensions}

    def normalised(self, dimensions: Iterable[str] | None = None) -> dict[str, float]:
        """As ``as_given``, divided by their sum.

        Raises:
            VideoAlignError: none of these dimensions has any weight.
        """
        chosen = self.as_given(dimensions)
        total = sum(chosen.values())
        if not total:
            elsewhere = ", ".join(name for name, value in self.values.items() if value)
            raise VideoAlignError(
                f"All the weight is on {elsewhere}, for which there is no score here. Give {_listed(chosen, 'or')} some weight."
            )
        return {name: value / total for name, value in chosen.items()}

    def scalar(self, scores: Mapping[str, float]) -> float:
        """The weighted mean of scores by dimension; a dimension with weight must have one."""
        counting = {name: weight for name, weight in self.values.items() if weight}
        return sum(weight * scores[name] for name, weight in counting.items()) / sum(counting.values())


def parse_weight(text: str) -> tuple[str, float]:
    """Name and value of ``NAME=WEIGHT``, such as ``measures.motion = 0.5``.

    Raises:
        VideoAlignError: the text is none of that form.
    """
    name, equals, value = text.rpartition("=")
    try:
        weight = float(value)
    except ValueError:
        equals, weight = "", 0.0
    if not equals or not name.strip():
        raise VideoAlignError(f"The weight {text!r} is none; write NAME=WEIGHT, as measures.motion=0.5.")
    return name.strip(), weight


def _listed(names: Iterable[str], word: str = "and") -> str:
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last
