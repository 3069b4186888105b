"""Micro World Clip."""

from __future__ import annotations

from .comfy_compat import CATEGORY, io, node_schema

_EXAMPLE = "two red circles move left over a plain grey ground"
_NONE = "none"
# Those of micro_world.faults, which takes numpy; a test holds them together.
FAULTS = ("noise", "blur", "fade", "blocks", "jitter", "teleport", "freeze", "surge", "slow", "flicker")


class MicroClip(io.ComfyNode):
    """A drawn clip whose faults are known: something to score where no clip is at hand."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            search_aliases=["test clip", "sample clip", "example video", "micro world", "synthetic"],
            node_id="VideoAlignMicroClip",
            display_name="Micro World Clip",
            category=CATEGORY,
            description=(
                "Draws a small clip of the micro world, faultless or spoilt on purpose: something to try the scores on. Raise the degree "
                "of a fault and see which score falls."
            ),
            inputs=[
                io.String.Input(
                    "caption",
                    default=_EXAMPLE,
                    tooltip=f"What the clip shows, in the words of the micro world: '{_EXAMPLE}'.",
                ),
                io.Combo.Input(
                    "fault",
                    options=[_NONE, *FAULTS],
                    default=_NONE,
                    tooltip=(
                        "What spoils it. noise, blur, fade, blocks: visual quality (VQ). jitter, teleport, freeze, surge, slow, flicker: "
                        "motion quality (MQ)."
                    ),
                ),
                io.Float.Input(
                    "degree",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="How much of the fault: 0 nothing, 1 unmistakable.",
                ),
                io.Int.Input(
                    "seed",
                    default=1,
                    min=0,
                    max=0xFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Places, sizes and speeds of the shapes, and the fault's chance.",
                ),
            ],
            outputs=[
                io.Image.Output("images", display_name="IMAGE", tooltip="17 frames of 64 x 64 pixels."),
                io.String.Output("same_caption", display_name="caption", tooltip="The caption, for Score Video."),
                io.Float.Output("fps", display_name="fps", tooltip="8 frames a second."),
            ],
        )

    @classmethod
    def validate_inputs(cls, caption: str | None) -> bool | str:
        """Refuse unknown words before anything runs; what arrives by wire is checked when it is there."""
        from ..micro_world.scene import parse_caption

        try:
            if caption is not None:
                parse_caption(caption)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, caption: str, fault: str, degree: float, seed: int) -> io.NodeOutput:
        """Draw it."""
        import numpy as np

        from ..clips.pixels import bytes_to_unit
        from ..errors import CaptionError
        from ..micro_world.clip import make_clip
        from ..micro_world.faults import Fault
        from ..micro_world.scene import parse_caption, sample_scene

        try:
            scene = sample_scene(np.random.default_rng(seed), parse_caption(caption))
        except ValueError as error:
            raise CaptionError(str(error)) from None
        faults = () if fault == _NONE else (Fault(fault, degree),)
        clip = make_clip(np.random.default_rng([seed, 1]), scene, faults)
        return io.NodeOutput(bytes_to_unit(clip.frames), caption, float(clip.fps))
