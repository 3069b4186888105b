"""What differs between the members of the Qwen-VL family: patches, normalisation, sizes, and the chat around a question."""

from __future__ import annotations

from dataclasses import dataclass

from ..frame_pixels import CLIP_MEAN, CLIP_STD, MERGE_SIZE

DEFAULT_SYSTEM = "You are a helpful assistant."
"""Qwen2-VL's and Qwen2.5-VL's chat template says it where the conversation has no system message."""


@dataclass(frozen=True)
class VisionLanguageFamily:
    """One member, as its public ``config.json``, ``preprocessor_config.json`` and chat template have it.

    Attributes:
        model_type: as in config.json.
        title: for messages.
        since: the first version of transformers that has it.
        patch: side of a patch in pixels.
        mean, std: of the pixels 0..1, by colour.
        min_pixels, max_pixels: bounds of height * width of one picture.
        system: the system message that the chat begins with, or None.
    """

    model_type: str
    title: str
    since: str
    patch: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    min_pixels: int
    max_pixels: int
    system: str | None

    @property
    def token_side(self) -> int:
        """Side of what one token shows, in pixels."""
        return self.patch * MERGE_SIZE


QWEN2_VL = VisionLanguageFamily(
    "qwen2_vl", "Qwen2-VL", "4.45", 14, CLIP_MEAN, CLIP_STD, 56 * 56, 16384 * 28 * 28, DEFAULT_SYSTEM
)
QWEN2_5_VL = VisionLanguageFamily(
    "qwen2_5_vl", "Qwen2.5-VL", "4.49", 14, CLIP_MEAN, CLIP_STD, 56 * 56, 16384 * 28 * 28, DEFAULT_SYSTEM
)
_HALF = (0.5, 0.5, 0.5)
QWEN3_VL = VisionLanguageFamily("qwen3_vl", "Qwen3-VL", "4.57", 16, _HALF, _HALF, 256 * 256, 4096 * 4096, None)
