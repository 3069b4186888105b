"""Ranking Rules."""

from __future__ import annotations

from ..errors import VideoAlignError
from .comfy_compat import CATEGORY, RulesSocket, io, node_schema
from .ranking_rules import BY_Z, METHODS, RankingRules


class RankingRulesNode(io.ComfyNode):
    """How candidates are ranked by marks of any judges."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            search_aliases=[
                "weights",
                "gates",
                "veto",
                "z-score",
                "dominance",
                "reward hacking",
                "mark weights",
                "filter",
            ],
            node_id="VideoAlignRankingRules",
            display_name="Ranking Rules",
            category=CATEGORY,
            description=(
                "For Pick Best of N with a Panel: which marks count and how much, which a clip must reach, and a gate against clips that "
                "please the reward by a fault that measurements see. Marks have many units, so their z-scores among the candidates are added."
            ),
            inputs=[
                io.String.Input(
                    "weights",
                    multiline=True,
                    default="",
                    placeholder="measures.motion = 0.5",
                    tooltip=(
                        "One mark a line (or commas between): NAME = WEIGHT. They count beside VQ, MQ and TA of Reward Weights; a name that "
                        "stands in both has the weight given here, 0 leaves it out. A wrong name lists the right ones."
                    ),
                ),
                io.String.Input(
                    "gates",
                    multiline=True,
                    default="",
                    placeholder="measures.still < 0.2",
                    tooltip=(
                        "One gate a line (or commas between): NAME < BOUND or NAME > BOUND, in the mark's unit. A clip that does not keep to "
                        "one is out, whatever its other marks."
                    ),
                ),
                io.Combo.Input(
                    "method",
                    options=list(METHODS),
                    default=BY_Z,
                    tooltip=(
                        "weighted z-scores: standard deviations above the candidates' mean, weighted and added. dominance: by how many "
                        "candidates a clip is better than in least_better of the marks that have a weight."
                    ),
                ),
                io.Int.Input(
                    "least_better",
                    default=2,
                    min=1,
                    max=64,
                    tooltip="For dominance: in how many of the marks a clip must be better than another one, and in more than it is worse.",
                ),
                io.Float.Input(
                    "hacking_gate",
                    default=0.0,
                    min=0.0,
                    max=20.0,
                    step=0.5,
                    tooltip=(
                        "Puts out a clip of which a measurement is worse than the candidates' median by so many usual differences between them. "
                        "3 is a good value, 0 is off. Needs Measurements in the Panel and four candidates."
                    ),
                ),
            ],
            outputs=[RulesSocket.Output("rules", display_name="RULES", tooltip="For Pick Best of N.")],
        )

    @classmethod
    def validate_inputs(cls, weights: str | None, gates: str | None) -> bool | str:
        """Refuse what cannot be read before anything runs; whether the marks exist is known when the clips are there."""
        try:
            RankingRules.parse(weights or "", gates or "", BY_Z, 1, 0.0)
        except VideoAlignError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, weights: str, gates: str, method: str, least_better: int, hacking_gate: float) -> io.NodeOutput:
        """Read them."""
        return io.NodeOutput(RankingRules.parse(weights, gates, method, least_better, hacking_gate))
