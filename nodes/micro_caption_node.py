"""Micro Caption Encode, and the micro model's files."""

from __future__ import annotations

from ..backbones.micro_files import MICRO_LORA, MICRO_NETWORK, MICRO_VAE
from .comfy_compat import CATEGORY, folder_paths, io, node_schema

_EXAMPLE = "two red circles move left over a plain grey ground"


def register_micro_model() -> None:
    """Let ComfyUI's own loaders find the micro model's network, VAE and LoRA."""
    for file in (MICRO_NETWORK, MICRO_VAE, MICRO_LORA):
        folder_paths.add_model_folder_path(file.parent.name, str(file.parent))


class MicroCaptionEncode(io.ComfyNode):
    """Stands in the place of CLIP Text Encode for the micro model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            search_aliases=["text encode", "prompt", "micro"],
            node_id="VideoAlignMicroCaption",
            display_name="Micro Caption Encode",
            category=CATEGORY,
            description=(
                "Encodes a caption for micro_wan, the small video model that comes with the pack. It knows the words of the "
                "micro world only. An empty caption is the negative prompt."
            ),
            inputs=[
                io.String.Input(
                    "caption",
                    default=_EXAMPLE,
                    tooltip=f"Like '{_EXAMPLE}'. Empty: no caption, for the sampler's negative input.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    "conditioning", display_name="CONDITIONING", tooltip="For a sampler that runs micro_wan."
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, caption: str | None) -> bool | str:
        """Refuse unknown words before anything runs; what arrives by wire is checked when it is there."""
        from ..backbones.micro_text import encode_caption
        from ..errors import PromptError

        try:
            if caption is not None:
                encode_caption(caption)
        except PromptError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, caption: str) -> io.NodeOutput:
        """One vector a word."""
        from ..backbones.micro_text import encode_caption

        return io.NodeOutput([[encode_caption(caption)[None], {}]])
