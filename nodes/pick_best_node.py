"""Pick Best of N."""

from __future__ import annotations

from ..reward.dimensions import DIMENSIONS, MEANING, SIGMA
from ..reward.weights import RewardWeights
from .comfy_compat import (
    CATEGORY,
    ExecutionBlocker,
    RulesSocket,
    ScoresSocket,
    WeightsSocket,
    growing_input,
    grown_values,
    io,
    node_schema,
)
from .contact_sheet import contact_sheet
from .ranked_clip import GATE_OFF, Gates, RankedClip
from .ranking import Ranking, rank
from .shown_ranking import shown_ranking


class PickBest(io.ComfyNode):
    """Which clip is the best one, and why."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        gates = [
            io.Float.Input(
                f"min_{name}",
                default=GATE_OFF,
                min=GATE_OFF,
                max=10.0,
                step=0.05,
                tooltip=f"Lowest {meaning} in {SIGMA} that a clip needs to be chosen. {GATE_OFF:g}: no gate.",
            )
            for name, meaning in ((name, MEANING[name]) for name in DIMENSIONS)
        ]
        return node_schema(
            search_aliases=["best seed", "rank", "select", "choose", "compare", "sort", "seed", "candidates", "filter"],
            node_id="VideoAlignPickBest",
            display_name="Pick Best of N",
            category=CATEGORY,
            description=(
                "Ranks clips by the weighted mean of their scores and hands on the best, or the one that you choose yourself. Clips without a caption have no TA: then all "
                "are ranked by VQ and MQ, and the node says so. Marks of several judges are ranked by z-scores among the candidates, as Ranking Rules says."
            ),
            inputs=[
                *growing_input(
                    ScoresSocket,
                    "candidates",
                    "candidate",
                    "SCORES of one or more clips, from Score Video. Lists are welcome.",
                ),
                WeightsSocket.Input(
                    "weights", optional=True, tooltip="From Reward Weights. Without it VQ 0.1 : MQ 0.1 : TA 0.8."
                ),
                io.Int.Input(
                    "top_k",
                    default=1,
                    min=1,
                    max=256,
                    tooltip="How many of the best go to 'ranked'; the others go to 'rejected'.",
                ),
                *gates,
                io.String.Input(
                    "use_this",
                    optional=True,
                    default="",
                    tooltip=(
                        "Your own choice in place of the winner: the button 'use this one' below writes it here, or type a candidate's "
                        "number. Empty: the best clip. A clip that is not there any more is not used, and that is said."
                    ),
                ),
                RulesSocket.Input(
                    "rules",
                    optional=True,
                    tooltip="From Ranking Rules: weights and gates for the marks of any judges, and the gate against hacking.",
                ),
            ],
            outputs=[
                io.Video.Output("best", display_name="best", tooltip="The winner."),
                io.Video.Output(
                    "ranked", display_name="ranked", is_output_list=True, tooltip="The best top_k, best first (a list)."
                ),
                io.Video.Output(
                    "rejected",
                    display_name="rejected",
                    is_output_list=True,
                    tooltip="All other clips, best first (a list).",
                ),
                io.Int.Output(
                    "indices",
                    display_name="indices",
                    is_output_list=True,
                    tooltip="Positions of the ranked clips among the candidates, from 0 (a list).",
                ),
                io.Latent.Output(
                    "best_latents",
                    display_name="best_latents",
                    is_output_list=True,
                    tooltip="LATENT of each ranked clip, best first (a list). Needs 'latent' connected at Score Video.",
                ),
                ScoresSocket.Output(
                    "scores", display_name="SCORES", tooltip="All candidates with their scores, best first."
                ),
                io.Image.Output("contact_sheet", display_name="contact sheet", tooltip="A picture of the ranking."),
            ],
            is_input_list=True,
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        weights=None,
        top_k=(1,),
        min_VQ=(GATE_OFF,),  # noqa: N803
        min_MQ=(GATE_OFF,),  # noqa: N803
        min_TA=(GATE_OFF,),  # noqa: N803
        use_this=("",),
        rules=None,
        **inputs,
    ):
        """Rank all candidates of all inputs."""
        clips = [clip for wire in grown_values("candidates", inputs) for scores in wire for clip in scores]
        chosen_weights = weights[0] if weights and weights[0] is not None else RewardWeights()
        ranking = rank(
            clips,
            chosen_weights,
            Gates({"VQ": min_VQ[0], "MQ": min_MQ[0], "TA": min_TA[0]}),
            top_k[0],
            use_this[0],
            rules[0] if rules else None,
        )
        return io.NodeOutput(*_outputs(ranking), ui={"videoalign_ranking": [shown_ranking(ranking)]})


def _outputs(ranking: Ranking) -> tuple:
    from ..clips.pixels import bytes_to_unit

    chosen = ranking.chosen
    nothing = ExecutionBlocker(ranking.why_none()) if not chosen else None
    ranked = [_video(row) for row in chosen]
    # An empty list would be an error in whatever hangs on it; a silent stop is meant.
    rejected = [_video(row) for row in ranking.rejected] or ExecutionBlocker(None)
    sheet = bytes_to_unit(contact_sheet(ranking).copy())[None]
    return (
        nothing or ranked[0],
        nothing or ranked,
        rejected,
        nothing or [row.index for row in chosen],
        nothing or [_latent(row) for row in chosen],
        tuple(row.clip for row in ranking.order),
        sheet,
    )


def _video(row: RankedClip) -> object:
    if row.clip.clip is not None:
        return row.clip.clip
    return ExecutionBlocker(
        f"{row.clip.name} came from a score file, which holds scores, not clips. Score the clip again to use it."
    )


def _latent(row: RankedClip) -> object:
    if row.clip.latent is not None:
        return row.clip.latent
    return ExecutionBlocker(
        f"{row.clip.name} has no latent. Connect the LATENT that it was decoded from to its Score Video."
    )
