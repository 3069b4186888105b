"""``RewardWeights`` as options of a command."""

from __future__ import annotations

from pydantic import Field, model_validator

from ..cli.options import CommandConfig
from .weights import RewardWeights


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
