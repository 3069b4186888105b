"""Reward Trace."""

from __future__ import annotations

from .comfy_compat import CATEGORY, TraceSocket, io, node_schema


class RewardTraceNode(io.ComfyNode):
    """The rewards over a guided sampling run."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            search_aliases=["curve", "plot", "chart", "graph", "history"],
            node_id="VideoAlignRewardTrace",
            display_name="Reward Trace",
            category=CATEGORY,
            description=(
                "How VQ, MQ and TA of the unfinished clip changed from step to step, as the latent reward model saw it: live in "
                "the node, as a picture, and as data. Goes behind the sampler: it shows the trace of the very samples that it gets."
            ),
            inputs=[
                TraceSocket.Input("trace", tooltip="From Reward Guidance."),
                io.Latent.Input(
                    "samples",
                    tooltip=(
                        "The output of the sampler, of the last one where several share the run. Its trace is found by these samples, "
                        "which are passed on unchanged."
                    ),
                ),
                io.String.Input(
                    "ghost",
                    optional=True,
                    force_input=True,
                    tooltip="data of another Reward Trace, as of the unguided run (strength 0): drawn behind this one in the same range.",
                ),
            ],
            outputs=[
                io.Latent.Output("latent", display_name="LATENT", tooltip="The samples, unchanged."),
                io.Image.Output("curve", display_name="IMAGE", tooltip="The curves as a picture."),
                io.String.Output(
                    "data",
                    display_name="data",
                    tooltip=(
                        "JSON: weights, strength, seed, and for each evaluation step, sigma, VQ, MQ, TA (also by clip), shift_ratio and "
                        "seconds."
                    ),
                ),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, trace, samples, ghost: str | None = None) -> io.NodeOutput:
        """Draw what was recorded of these samples."""
        import json

        from ..clips.pixels import bytes_to_unit
        from .guidance_trace import read_trace
        from .reward_curve import reward_curve

        shown = trace.of(samples["samples"])
        behind = read_trace(ghost) if ghost else None
        picture = bytes_to_unit(reward_curve(shown, behind))[None]
        panel = shown | {"ghost": behind}
        return io.NodeOutput(samples, picture, json.dumps(shown, indent=1), ui={"videoalign_trace": [panel]})
