"""Frames as a Qwen-VL network reads them: each a picture of its own, or pairs of them as a clip."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...clips.frames import SampledFrames
from ..frame_pixels import MERGE_SIZE, normalise, patchify
from .family import VisionLanguageFamily
from .positions import Grid


@dataclass(frozen=True)
class Pictures:
    """Frames of a clip, chosen and resized.

    Attributes:
        pixels: uint8 RGB [n, 3, H, W]; sides are multiples of the family's token side.
        total_frames, fps, notes: of the clip, see ``SampledFrames``.
    """

    pixels: torch.Tensor
    total_frames: int
    fps: float
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, frames: SampledFrames) -> Pictures:
        """What a view showed."""
        return cls(frames.pixels.detach().to(torch.uint8).cpu(), frames.total_frames, frames.fps, frames.notes)

    @property
    def described(self) -> str:
        """For messages."""
        count, _, height, width = self.pixels.shape
        return f"{count} frames of {width}x{height} pixels"

    def grid(self, family: VisionLanguageFamily, as_clip: bool, step: float = 1.0) -> Grid:
        """Their tokens: of all pairs together, or of each frame."""
        count, _, height, width = self.pixels.shape
        side = family.token_side
        return Grid(count // 2 if as_clip else 1, height // side, width // side, step)

    def patches(
        self, family: VisionLanguageFamily, as_clip: bool, device: torch.device
    ) -> tuple[torch.Tensor, list[tuple[int, int, int]]]:
        """Float32 patches [tokens * 4, 3 * 2 * patch * patch] and the grid of each picture, (t, h, w) in patches.

        A picture of its own fills both frames of its patches.
        """
        frames = normalise(self.pixels.to(device).float(), family.mean, family.std)
        if not as_clip:
            frames = frames.repeat_interleave(2, 0)
        patches, (t, h, w) = patchify(frames, family.patch)
        assert h % MERGE_SIZE == 0 and w % MERGE_SIZE == 0, (h, w)
        return patches, [(t, h, w)] if as_clip else [(1, h, w)] * t
