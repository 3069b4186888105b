"""Reward Trace."""

from __future__ import annotations

from .comfy_compat import CATEGORY, TraceSocket, io


class RewardTraceNode(io.ComfyNode):
    """The rewards over a guided sampling run."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="VideoAlignRewardTrace",
            display_name="Reward Trace",
            category=CATEGORY,
            description=(
                "How VQ, MQ and TA of the unfinished clip changed from step to step, as the latent reward model saw it: live in "
                "the node, as a picture, and as data. Goes behind the sampler."
            ),
            inputs=[
                TraceSocket.Input("trace", tooltip="From Reward Guidance."),
                io.Latent.Input(
                    "samples",
                    tooltip="The output of the sampler (of the second one, where two share the run). It is passed on unchanged.",
                ),
            ],
            outputs=[
                io.Latent.Output("latent", display_name="LATENT", tooltip="The samples, unchanged."),
                io.Image.Output("curve", display_name="IMAGE", tooltip="The curves as a picture."),
                io.String.Output(
                    "data",
                    display_name="data",
                    tooltip=(
                        "JSON: weights, strength, and for each evaluation sigma, VQ, MQ, TA (also by clip), shift_ratio and seconds."
                    ),
                ),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, trace, samples) -> io.NodeOutput:
        """Draw what was recorded."""
        import json

        from ..clips.pixels import bytes_to_unit
        from .reward_curve import reward_curve

        shown = trace.shown()
        picture = bytes_to_unit(reward_curve(shown))[None]
        return io.NodeOutput(samples, picture, json.dumps(shown, indent=1), ui={"videoalign_trace": [shown]})
