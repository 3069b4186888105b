"""Reward Weights."""

from __future__ import annotations

from ..errors import VideoAlignError
from ..reward.dimensions import DIMENSIONS, MEANING
from ..reward.weights import RewardWeights
from .comfy_compat import CATEGORY, WeightsSocket, io, node_schema
from .reward_weights import CUSTOM, PRESETS, chosen_weights


def weight_sliders(tooltip: str) -> list:
    """Inputs VQ, MQ and TA; ``tooltip`` has a place for what the dimension means."""
    default = RewardWeights().as_given()
    return [
        io.Float.Input(
            name,
            default=default[name],
            min=0.0,
            max=1.0,
            step=0.01,
            display_mode=io.NumberDisplay.slider,
            tooltip=tooltip.format(MEANING[name]),
        )
        for name in DIMENSIONS
    ]


class RewardWeightsNode(io.ComfyNode):
    """How much each dimension counts."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            search_aliases=["preference", "balance", "sliders", "VQ MQ TA"],
            node_id="VideoAlignRewardWeights",
            display_name="Reward Weights",
            category=CATEGORY,
            description=(
                "How much visual quality (VQ), motion quality (MQ) and text alignment (TA) count. The values are kept as given; "
                "ranking divides them by their sum. All three at 0 is refused."
            ),
            inputs=[
                *weight_sliders("Weight of {}. Only the proportion of the three counts for ranking."),
                io.Combo.Input(
                    "preset",
                    options=[CUSTOM, *PRESETS],
                    default=CUSTOM,
                    tooltip="A named triple is used in place of the sliders. The first ones are the paper's operating points.",
                ),
            ],
            outputs=[
                WeightsSocket.Output(
                    "weights", display_name="WEIGHTS", tooltip="For Pick Best of N and Reward Guidance."
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, VQ: float, MQ: float, TA: float, preset: str) -> bool | str:  # noqa: N803 - the dimensions' names
        """Refuse weights that are all 0 before anything runs; what arrives by wire is checked when it is there."""
        try:
            if None not in (VQ, MQ, TA, preset):
                chosen_weights(preset, VQ, MQ, TA)
        except VideoAlignError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, VQ: float, MQ: float, TA: float, preset: str) -> io.NodeOutput:  # noqa: N803
        """Pack them."""
        weights = chosen_weights(preset, VQ, MQ, TA)
        shown = {"as_given": weights.as_given(), "normalised": weights.normalised(), "preset": preset}
        return io.NodeOutput(weights, ui={"videoalign_weights": [shown]})
