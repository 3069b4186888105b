"""Frames of a clip for whoever looks at it: chosen, read once, and checked, whatever the clip came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

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


_NO_PIXELS = torch.empty(0, 3, 0, 0, dtype=torch.uint8)

Resize = Callable[[torch.Tensor], torch.Tensor]
"""What is made of frames at once: RGB [n, 3, H, W], grey levels 0..255, uint8 or float32 -> the same in another size."""


class Watcher(Protocol):
    """Sees the chosen frames of one clip one after another, and keeps of each what it needs: a clip of any length fits."""

    def see(self, picture: np.ndarray) -> None:
        """The next frame, uint8 RGB [H, W, 3]."""


@dataclass(frozen=True)
class View:
    """What somebody wants to see of a clip.

    Attributes:
        choose: which frames.
        resize: what they are made into, to be kept together.
        watch: in the place of ``resize``: makes, of the clip's number of frames and its frames per second, a watcher, which
            sees each frame once, in order and at full size. No frame is kept for it. A clip whose frames must be counted anew gets a
            new watcher.
    """

    choose: Choice
    resize: Resize | None = None
    watch: Callable[[int, float], Watcher] | None = None


@dataclass(frozen=True)
class SampledFrames:
    """Frames that were chosen from a clip.

    Attributes:
        pixels: [n, 3, H, W] RGB, grey levels 0..255: uint8; or float32, holding integers, where float frames were given
            (a gradient passes straight through the rounding). Empty, [0, 3, 0, 0], where a watcher has seen them.
        indices: their positions in the clip, 0-based.
        total_frames, fps: of the whole clip.
        notes: what a reader of the scores should know of how the clip is shown (``clips.upright_rgb.notes``).
        watcher: that of the view, which has seen all of its frames.
        frame_size: (height, width) of the clip's own frames, in pixels.
    """

    pixels: torch.Tensor
    indices: list[int]
    total_frames: int
    fps: float
    notes: tuple[str, ...] = ()
    watcher: Watcher | None = None
    frame_size: tuple[int, int] = (0, 0)

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
    chosen: list[frozenset[int]] = []
    watching: list[_InOrder | None] = []
    size = (0, 0)

    def of_all_views(total: int, rate: float) -> list[int]:
        wanted[:] = [view.choose(total, rate) for view in views]
        chosen[:] = [frozenset(indices) for indices in wanted]
        watching[:] = [
            _InOrder(view.watch(total, rate), indices) if view.watch else None
            for view, indices in zip(views, wanted, strict=True)
        ]
        return wanted[0] if len(views) == 1 else sorted({index for indices in wanted for index in indices})

    def converted(index: int, picture: np.ndarray) -> np.ndarray:
        nonlocal size
        size = picture.shape[:2]
        frame = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]
        made = np.empty(len(views), dtype=object)
        for number, (view, watcher) in enumerate(zip(views, watching, strict=True)):
            if watcher:
                watcher.see_at(index, picture)
            elif index in chosen[number]:
                made[number] = (view.resize(frame) if view.resize else frame).to(torch.uint8)[0]
        return made

    decoded = decode_frames(source, of_all_views, fps, convert_at=converted)
    rows = dict(zip(decoded.indices, decoded.frames, strict=True))
    return [
        SampledFrames(
            torch.stack([rows[index][number] for index in indices]) if watcher is None else _NO_PIXELS,
            indices,
            decoded.total_frames,
            decoded.fps,
            decoded.notes,
            None if watcher is None else watcher.watcher,
            size,
        )
        for number, (indices, watcher) in enumerate(zip(wanted, watching, strict=True))
    ]


class _InOrder:
    """Shows a watcher its frames in order, each once, whatever the order and company in which they come."""

    def __init__(self, watcher: Watcher, indices: Sequence[int]) -> None:
        self.watcher = watcher
        self._wanted = frozenset(indices)
        self._left = iter(sorted(self._wanted))
        self._next = next(self._left, None)
        self._early: dict[int, np.ndarray] = {}

    def see_at(self, index: int, picture: np.ndarray) -> None:
        """The frame at this index of the clip; one that was not chosen is passed over."""
        if index in self._wanted:
            self._early[index] = picture
        while self._next is not None and self._next in self._early:
            self.watcher.see(self._early.pop(self._next))
            self._next = next(self._left, None)


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
    size = (pixels.shape[1], pixels.shape[2])
    if view.watch:
        watcher = _InOrder(view.watch(pixels.shape[0], rate), indices)
        for index in sorted(set(indices)):
            one = SampledFrames(_levels(pixels[[index]], clip.name), [index], pixels.shape[0], rate)
            watcher.see_at(index, one.as_bytes()[0])
        return SampledFrames(_NO_PIXELS, indices, pixels.shape[0], rate, watcher=watcher.watcher, frame_size=size)
    resize = view.resize or (lambda frames: frames)
    # Indexing before conversion: only the sampled frames are copied, and a numpy view (a flip, say) may have any strides.
    return SampledFrames(resize(_levels(pixels[indices], clip.name)), indices, pixels.shape[0], rate, frame_size=size)


def _levels(pixels: torch.Tensor | np.ndarray, name: str) -> torch.Tensor:
    """Frames [n, H, W, 3 or 4] as ``SampledFrames.pixels``: uint8 stays, float 0..1 becomes whole levels in float32."""
    pixels = pixels[..., :3]
    if isinstance(pixels, np.ndarray) and (pixels.dtype == np.uint8 or pixels.dtype.kind == "f"):
        pixels = torch.from_numpy(np.ascontiguousarray(pixels))
    if not isinstance(pixels, torch.Tensor) or not (pixels.dtype == torch.uint8 or pixels.is_floating_point()):
        raise ClipError(f"{name}: frames must be uint8 (0..255) or float (0..1); got {pixels.dtype}.")
    pixels = pixels.permute(0, 3, 1, 2)
    if pixels.dtype == torch.uint8:
        return pixels
    check_unit(pixels, name)
    grey = pixels.float() * 255
    return round_straight_through(grey, grey.detach().clamp(0, 255).round())
