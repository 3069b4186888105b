"""``RewardWeights`` and gates as options of a command."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, model_validator

from ..cli.options import CommandConfig
from ..errors import VideoAlignError
from .weights import RewardWeights, parse_weight


class WeightOptions(CommandConfig):
    """How much each dimension counts where one number decides for several; divided by their sum."""

    VQ: float = Field(1.0, ge=0, description="Weight of visual quality.")
    MQ: float = Field(1.0, ge=0, description="Weight of motion quality.")
    TA: float = Field(1.0, ge=0, description="Weight of text alignment.")

    @model_validator(mode="after")
    def _not_all_zero(self) -> WeightOptions:
        if self.VQ + self.MQ + self.TA == 0:
            raise ValueError("all weights are 0; give at least one dimension a weight")
        return self

    def weights(self) -> RewardWeights:
        """The weights themselves."""
        return RewardWeights.of(self.VQ, self.MQ, self.TA)


def named_weights(texts: Sequence[str]) -> RewardWeights | None:
    """Weights of any judges' marks from an option that is repeated, NAME=WEIGHT each; None where there is none.

    Raises:
        VideoAlignError: a text is none of that form, a name stands twice, or a weight is no weight.
    """
    values: dict[str, float] = {}
    for text in texts:
        name, weight = parse_weight(text)
        if name in values:
            raise VideoAlignError(f"The weight {text!r} is a second one of {name}; write NAME=WEIGHT, each name once.")
        values[name] = weight
    return RewardWeights(values) if values else None
