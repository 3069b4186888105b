"""Frames of a clip for whoever looks at it: chosen, read once, and checked, whatever the clip came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from av.container import InputContainer

from ..errors import ClipError
from .frame_table import check_fps
from .pixels import check_unit, round_straight_through
from .video_decoding import decode_frames

Choice = Callable[[int, float], list[int]]
"""Which frames are looked at: (number of frames, frames per second) -> their positions, 0-based."""


@dataclass(frozen=True)
class Frames:
    """In-memory frames of a whole clip.

    Attributes:
        pixels: [T, H, W, C] RGB (C = 3; a fourth, alpha, channel is dropped), float 0..1 or uint8, torch or numpy.
            A float tensor that requires gradients receives them from the scores.
        fps: frames per second.
        name: what error messages call it.
    """

    pixels: torch.Tensor | np.ndarray
    fps: float
    name: str = "the clip"


Resize = Callable[[torch.Tensor], torch.Tensor]
"""What is made of frames at once: RGB [n, 3, H, W], grey levels 0..255, uint8 or float32 -> the same in another size."""


@dataclass(frozen=True)
class View:
    """What somebody wants to see of a clip: which frames, and made into what."""

    choose: Choice
    resize: Resize | None = None


@dataclass(frozen=True)
class SampledFrames:
    """Frames that were chosen from a clip.

    Attributes:
        pixels: [n, 3, H, W] RGB, grey levels 0..255: uint8; or float32, holding integers, where float frames were given
            (a gradient passes straight through the rounding).
        indices: their positions in the clip, 0-based.
        total_frames, fps: of the whole clip.
        notes: what a reader of the scores should know of how the clip is shown (``clips.upright_rgb.notes``).
    """

    pixels: torch.Tensor
    indices: list[int]
    total_frames: int
    fps: float
    notes: tuple[str, ...] = ()

    def as_bytes(self) -> np.ndarray:
        """uint8 RGB [n, H, W, 3]."""
        return self.pixels.detach().to(torch.uint8).permute(0, 2, 3, 1).cpu().contiguous().numpy()


def read_frames(source: object, view: View, fps: float | None = None) -> SampledFrames:
    """The frames of a clip that ``view`` asks for.

    Args:
        source: a path, a binary file object, an open PyAV container, or ``Frames``.
        fps: overrides the clip's own frame rate, in frames per second.

    Raises:
        ClipError: the clip cannot be read; the message says why.
    """
    return read_for_several(source, [view], fps)[0]


def read_for_several(source: object, views: Sequence[View], fps: float | None = None) -> list[SampledFrames]:
    """What ``read_frames`` gives for each of ``views``, by reading the clip once.

    Each frame of a file is resized as soon as it is decoded: large ones are never in memory together.

    Raises:
        ClipError: as ``read_frames``, or one of ``views`` cannot choose from such a clip.
    """
    if isinstance(source, Frames):
        return [_sample_given(source, view, fps) for view in views]
    if not (isinstance(source, (str, Path, InputContainer)) or hasattr(source, "read")):
        raise ClipError(
            f"A clip is a path, a file object, a PyAV container or Frames(pixels, fps); got {type(source).__name__}."
        )
    wanted: list[list[int]] = []

    def of_all_views(total: int, rate: float) -> list[int]:
        wanted[:] = [view.choose(total, rate) for view in views]
        return wanted[0] if len(views) == 1 else sorted({index for indices in wanted for index in indices})

    def converted(picture: np.ndarray) -> np.ndarray:
        frame = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]
        made = np.empty(len(views), dtype=object)
        for number, view in enumerate(views):
            made[number] = (view.resize(frame) if view.resize else frame).to(torch.uint8)[0]
        return made

    decoded = decode_frames(source, of_all_views, fps, convert=converted)
    rows = dict(zip(decoded.indices, decoded.frames, strict=True))
    return [
        SampledFrames(
            torch.stack([rows[index][number] for index in indices]),
            indices,
            decoded.total_frames,
            decoded.fps,
            decoded.notes,
        )
        for number, indices in enumerate(wanted)
    ]


def every_frame(total: int, fps: float) -> list[int]:
    """The choice of whoever looks at the whole clip."""
    return list(range(total))


def must_be_read_alone(source: object) -> bool:
    """Whether two threads may not read it at once: an open file or container has one position."""
    return isinstance(source, InputContainer) or hasattr(source, "read")


def _sample_given(clip: Frames, view: View, fps: float | None) -> SampledFrames:
    pixels = clip.pixels
    if not isinstance(pixels, (torch.Tensor, np.ndarray)):
        raise ClipError(f"{clip.name}: frames must be a torch or numpy array; got {type(pixels).__name__}.")
    if pixels.ndim != 4 or pixels.shape[3] not in (3, 4):
        raise ClipError(
            f"{clip.name}: frames must be [T, H, W, 3] (RGB, channels last); got shape {list(pixels.shape)}."
        )
    if pixels.shape[0] == 0 or min(pixels.shape[1:3]) == 0:
        raise ClipError(f"{clip.name}: frames of shape {list(pixels.shape)} hold no pixels.")
    rate = check_fps(clip.fps if fps is None else fps, clip.name)
    indices = view.choose(pixels.shape[0], rate)
    resize = view.resize or (lambda frames: frames)
    # Indexing before conversion: only the sampled frames are copied, and a numpy view (a flip, say) may have any strides.
    chosen = pixels[indices][..., :3]
    if isinstance(chosen, np.ndarray) and (chosen.dtype == np.uint8 or chosen.dtype.kind == "f"):
        chosen = torch.from_numpy(np.ascontiguousarray(chosen))
    if not isinstance(chosen, torch.Tensor) or not (chosen.dtype == torch.uint8 or chosen.is_floating_point()):
        raise ClipError(f"{clip.name}: frames must be uint8 (0..255) or float (0..1); got {chosen.dtype}.")
    chosen = chosen.permute(0, 3, 1, 2)
    if chosen.dtype == torch.uint8:
        return SampledFrames(resize(chosen), indices, pixels.shape[0], rate)
    check_unit(chosen, clip.name)
    grey = chosen.float() * 255
    rounded = round_straight_through(grey, grey.detach().clamp(0, 255).round())
    return SampledFrames(resize(rounded), indices, pixels.shape[0], rate)
