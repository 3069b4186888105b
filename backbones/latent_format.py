"""The latent space that a network samples in: its name, its channels and its strides.

Two networks of one latent format can share a VAE, and a latent reward model of one can guide the other. The mean and the
standard deviation belong to the VAE; latents are always in the normalised space that ComfyUI's sampler sees.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ClipSizeError


@dataclass(frozen=True)
class LatentFormat:
    """A latent space.

    Attributes:
        name: what files and messages call it: ``wan2.1``.
        channels: C of latents [B, C, T, H, W].
        spatial_stride: pixels per latent element along height and width.
        temporal_stride: frames per latent frame after the first one, which holds one frame.
    """

    name: str
    channels: int
    spatial_stride: int
    temporal_stride: int

    def shape(self, frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """(C, T, H, W) of the latents of a clip.

        Raises:
            ClipSizeError: ``frames`` is not 1 more than a multiple of the temporal stride, or a side is not a multiple of
                the spatial stride.
        """
        wrong = []
        if frames < 1 or (frames - 1) % self.temporal_stride:
            nearest = _nearest(max(frames - 1, 0), self.temporal_stride)
            wrong.append(
                f"{frames} frames are not 1 more than a multiple of {self.temporal_stride}: "
                f"use {' or '.join(str(fitting + 1) for fitting in nearest)}"
            )
        for side, name in ((width, "width"), (height, "height")):
            if side < 1 or side % self.spatial_stride:
                nearest = [fitting for fitting in _nearest(side, self.spatial_stride) if fitting]
                wrong.append(
                    f"{name} {side} is not a multiple of {self.spatial_stride}: use {' or '.join(map(str, nearest))}"
                )
        if wrong:
            raise ClipSizeError(f"{width}x{height}x{frames} does not fit {self.name} latents: {'; '.join(wrong)}.")
        return (
            self.channels,
            (frames - 1) // self.temporal_stride + 1,
            height // self.spatial_stride,
            width // self.spatial_stride,
        )

    def frames(self, latent_frames: int) -> int:
        """Frames of the clip that ``latent_frames`` decode to."""
        return (latent_frames - 1) * self.temporal_stride + 1


def _nearest(value: int, step: int) -> tuple[int, int]:
    """The multiples of ``step`` around ``value``."""
    below = max(value, 0) // step * step
    return below, below + step
