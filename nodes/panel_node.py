"""Panel."""

from __future__ import annotations

from ..errors import VideoAlignError
from .comfy_compat import CATEGORY, RewardSocket, growing_input, grown_values, io, node_schema


class PanelNode(io.ComfyNode):
    """Several judges as one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            search_aliases=["judges", "combine", "join", "ensemble", "committee", "jury", "several rewards"],
            node_id="VideoAlignPanel",
            display_name="Panel",
            category=CATEGORY,
            description=(
                "Joins several judges into one that looks at each clip once. Every judge gives its own marks in its own unit, under its "
                "name, such as measures.motion; marks are never mixed. The first judge's VQ, MQ, TA and Overall keep their names."
            ),
            inputs=growing_input(
                RewardSocket,
                "judges",
                "judge",
                "A judge: from Load Video Reward Model, Load Judge, Measurements or another Panel. Put the reward first.",
            ),
            outputs=[
                RewardSocket.Output(
                    "reward", display_name="REWARD", tooltip="All of them as one judge, for Score Video."
                )
            ],
        )

    @classmethod
    def execute(cls, **inputs) -> io.NodeOutput:
        """Seat them; one alone is handed on as it is."""
        from .panel_handle import PanelHandle

        handles = grown_values("judges", inputs)
        if not handles:
            raise VideoAlignError("The panel has no judge. Connect at least one, better two, to its judge inputs.")
        return io.NodeOutput(handles[0] if len(handles) == 1 else PanelHandle(handles))
