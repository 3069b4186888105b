"""A clip made ready for the reward model: frames chosen, resized and checked, whatever it came from."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..backbones.side_stream import side_stream
from ..clips.frames import Frames, SampledFrames, View, read_frames
from .frame_pixels import normalise, normalise_bytes, patch_grid, patchify, resize_frames
from .frame_sampling import frame_count, frame_indices, resized_size
from .settings import FrameSampling

__all__ = ["Frames", "PreparedClip", "prepare_clip", "prepare_frames", "view_of"]


Reader = tuple[torch.device, torch.dtype]


@dataclass(frozen=True)
class PreparedClip:
    """What the vision tower reads, and how it came about.

    Attributes:
        patches: [t * h * w, 1176]; float32 on the CPU, of the network's type on its accelerator.
        grid: (t, h, w) in patches.
        indices: sampled frame positions in the clip.
        size: resized (height, width) in pixels.
        total_frames, fps: of the whole clip.
        notes: what a reader of the scores should know of how the clip is shown (``clips.upright_rgb.notes``).
        frame_size: (height, width) of the clip's own frames, in pixels.
    """

    patches: torch.Tensor
    grid: tuple[int, int, int]
    indices: list[int]
    size: tuple[int, int]
    total_frames: int
    fps: float
    notes: tuple[str, ...] = ()
    frame_size: tuple[int, int] = (0, 0)

    @property
    def video_tokens(self) -> int:
        """Tokens that the clip takes in the text: one for each 2 x 2 patches."""
        t, h, w = self.grid
        return t * h * w // 4


def prepare_clip(
    source: object, sampling: FrameSampling, fps: float | None = None, reader: Reader | None = None
) -> PreparedClip:
    """Sample, decode, resize and cut a clip into patches, on the CPU (or where the given frames are).

    Args:
        source: a path, a binary file object, an open PyAV container, or ``Frames``. A ``PreparedClip`` is returned as it is.
        sampling: frame rate and size limits, from the checkpoint.
        fps: overrides the clip's own frame rate, in frames per second.
        reader: see ``prepare_frames``.

    Raises:
        ClipError: the clip cannot be scored; the message says why.
    """
    if isinstance(source, PreparedClip):
        return source
    return prepare_frames(read_frames(source, view_of(sampling), fps), reader)


def view_of(sampling: FrameSampling) -> View:
    """Which frames of a clip VideoReward looks at, and how large."""
    return View(
        lambda total, rate: frame_indices(total, frame_count(total, rate, sampling)),
        lambda frames: resize_frames(frames, resized_size(frames.shape[2], frames.shape[3], sampling)),
    )


def prepare_frames(frames: SampledFrames, reader: Reader | None = None) -> PreparedClip:
    """Cut what ``view_of`` shows into patches.

    Args:
        reader: an accelerator, and the type of what reads them there. Bytes on the CPU are brought to it, a quarter of what
            patches take, and cut there, beside what it computes; the patches are the same to the bit, rounded to that type.
    """
    pixels = frames.pixels
    size = (pixels.shape[2], pixels.shape[3])
    if reader is None or pixels.device.type != "cpu" or pixels.requires_grad:
        patches, grid = patchify(normalise(pixels.float()))
    else:
        grid = patch_grid(pixels.shape)
        device, dtype = reader
        patches = side_stream(device).bring(
            pixels.to(torch.uint8), lambda there: patchify(normalise_bytes(there))[0].to(dtype)
        )
    return PreparedClip(
        patches, grid, frames.indices, size, frames.total_frames, frames.fps, frames.notes, frames.frame_size
    )
