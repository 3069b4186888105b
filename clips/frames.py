"""Frames of a clip for whoever looks at it: chosen, read once, and checked, whatever the clip came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from av.container import InputContainer

from ..errors import ClipError
from .pixels import round_straight_through
from .video_decoding import check_fps, decode_frames

# Decoders and samplers overshoot [0, 1] by rounding; anything beyond one grey level is a mistake in the caller's range.
_RANGE_SLACK = 1 / 255

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


@dataclass(frozen=True)
class SampledFrames:
    """Frames that were chosen from a clip.

    Attributes:
        pixels: [n, 3, H, W] RGB, grey levels 0..255: uint8, or float32 holding integers, where float frames were given
            (a gradient passes straight through the rounding).
        indices: their positions in the clip, 0-based.
        total_frames, fps: of the whole clip.
    """

    pixels: torch.Tensor
    indices: list[int]
    total_frames: int
    fps: float

    def only(self, indices: Sequence[int]) -> SampledFrames:
        """Those of the frames that have these positions in the clip."""
        at = {index: row for row, index in enumerate(self.indices)}
        pixels = self.pixels[[at[index] for index in indices]]
        return SampledFrames(pixels, list(indices), self.total_frames, self.fps)

    def as_bytes(self) -> np.ndarray:
        """uint8 RGB [n, H, W, 3]."""
        return self.pixels.detach().to(torch.uint8).permute(0, 2, 3, 1).cpu().contiguous().numpy()


def read_frames(source: object, choose: Choice, fps: float | None = None) -> SampledFrames:
    """The frames of a clip that ``choose`` asks for.

    Args:
        source: a path, a binary file object, an open PyAV container, or ``Frames``.
        choose: maps the number of frames and the clip's rate to the wanted positions.
        fps: overrides the clip's own frame rate, in frames per second.

    Raises:
        ClipError: the clip cannot be read; the message says why.
    """
    if isinstance(source, Frames):
        return _sample_given(source, choose, fps)
    if isinstance(source, (str, Path, InputContainer)) or hasattr(source, "read"):
        decoded = decode_frames(source, choose, fps)
        pixels = torch.from_numpy(decoded.frames).permute(0, 3, 1, 2)
        return SampledFrames(pixels, decoded.indices, decoded.total_frames, decoded.fps)
    raise ClipError(
        f"A clip is a path, a file object, a PyAV container or Frames(pixels, fps); got {type(source).__name__}."
    )


def read_for_several(source: object, choices: Sequence[Choice], fps: float | None = None) -> list[SampledFrames]:
    """What ``read_frames`` gives for each of ``choices``, by reading the clip once.

    Raises:
        ClipError: as ``read_frames``, or one of ``choices`` cannot choose from such a clip.
    """
    wanted: list[list[int]] = []

    def all_of_them(total: int, rate: float) -> list[int]:
        wanted[:] = [choose(total, rate) for choose in choices]
        return sorted({index for indices in wanted for index in indices})

    read = read_frames(source, all_of_them, fps)
    return [read.only(indices) for indices in wanted]


def every_frame(total: int, fps: float) -> list[int]:
    """The choice of whoever looks at the whole clip."""
    return list(range(total))


def must_be_read_alone(source: object) -> bool:
    """Whether two threads may not read it at once: an open file or container has one position."""
    return isinstance(source, InputContainer) or hasattr(source, "read")


def _sample_given(clip: Frames, choose: Choice, fps: float | None) -> SampledFrames:
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
    indices = choose(pixels.shape[0], rate)
    # Indexing before conversion: only the sampled frames are copied, and a numpy view (a flip, say) may have any strides.
    chosen = pixels[indices][..., :3]
    if isinstance(chosen, np.ndarray) and (chosen.dtype == np.uint8 or chosen.dtype.kind == "f"):
        chosen = torch.from_numpy(np.ascontiguousarray(chosen))
    if not isinstance(chosen, torch.Tensor) or not (chosen.dtype == torch.uint8 or chosen.is_floating_point()):
        raise ClipError(f"{clip.name}: frames must be uint8 (0..255) or float (0..1); got {chosen.dtype}.")
    chosen = chosen.permute(0, 3, 1, 2)
    if chosen.dtype == torch.uint8:
        return SampledFrames(chosen, indices, pixels.shape[0], rate)
    low, high = chosen.detach().aminmax()
    if not (torch.isfinite(low) and torch.isfinite(high)):
        raise ClipError(
            f"{clip.name} contains NaN or infinite pixels; the sampler or the VAE that made it has diverged."
        )
    if low < -_RANGE_SLACK or high > 1 + _RANGE_SLACK:
        hint = "pass 0..255 values as uint8" if high > 2 else "bring them into 0..1 first"
        raise ClipError(
            f"{clip.name}: float frames must lie in 0..1; found {low:.3g} to {high:.3g}. If that is meant, {hint}."
        )
    grey = chosen.float() * 255
    rounded = round_straight_through(grey, grey.detach().clamp(0, 255).round())
    return SampledFrames(rounded, indices, pixels.shape[0], rate)
