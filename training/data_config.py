"""Options of the trainers that learn on latents: the form in which clips are encoded, and what encodes them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from ..cli.options import CommandConfig
from ..preferences.splits import PairFiles

TEXT_ENCODER_BITS = (
    "Keep the matrices of the text encoder's layers in 8 or 4 bits (4 need bitsandbytes), in the place of 16."
)
"""What the option is for, in every command that has it."""


class EncodedData(PairFiles):
    """Preference files, and the form in which their clips are encoded."""

    width: int = Field(832, ge=16, description="Width that clips are brought to, in pixels.")
    height: int = Field(480, ge=16, description="Height that clips are brought to, in pixels.")
    frames: int = Field(81, ge=1, description="Frames that are taken from each clip.")
    fps: float = Field(16.0, gt=0, description="Frames per second at which they are taken.")
    buckets: list[str] = Field(
        [],
        description="Further sizes as WIDTHxHEIGHTxFRAMES@FPS, such as 480x832x81@16: each pair goes into the one that fits both of its clips best; repeat for several.",
    )
    image_to_video: bool = Field(
        False,
        description="For LTX: the first frame of each clip is given, as image-to-video has it; clips that are compared must begin with one image. An image-to-video Wan needs no such word.",
    )
    cache: Path | None = Field(
        None, description="Folder of encoded clips and captions; cache/ in the output folder by default."
    )
    cache_only: bool = Field(
        False,
        description="Train from that folder alone, as a training with the same data has filled it, here or on another machine: neither clips nor model.vae, text_encoder and image_encoder need be there.",
    )

    @property
    def clips_needed(self) -> bool:
        """Whether the clips themselves are read."""
        return not self.cache_only


IN_THE_CACHE = "cache"
"""In the place of an encoder's file, where what it made is all that is needed."""


def without_encoders(values: dict) -> dict:
    """The options of a training, as a file spells them, with encoders that need not be named: with ``data.cache_only``."""
    if not (values.get("data") or {}).get("cache_only"):
        return values
    model = values.get("model") or {}
    named = {name: model.get(name) or IN_THE_CACHE for name in ("vae", "text_encoder")}
    return {**values, "model": {**model, **named}}


class EncoderFiles(CommandConfig):
    """What encodes clips, captions and images for a video model."""

    vae: Path = Field(description="The VAE of that model: a ComfyUI .safetensors file or a diffusers folder.")
    text_encoder: str = Field(
        description="The text encoder of that model: a file or folder, or micro for the micro world."
    )
    text_encoder_bits: Literal["8bit", "4bit"] | None = Field(None, description=TEXT_ENCODER_BITS)
    image_encoder: Path | None = Field(
        None,
        description="What shows a Wan 2.1 image-to-video model its image: clip_vision_h.safetensors of ComfyUI, or a diffusers folder. Not for other models.",
    )
