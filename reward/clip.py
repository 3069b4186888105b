"""A clip made ready for the reward model: frames chosen, resized and checked, whatever it came from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from av.container import InputContainer

from ..clips.frame_table import check_fps
from ..clips.video_decoding import decode_frames
from ..errors import ClipError
from .frame_pixels import normalise, patchify, resize_frames, round_straight_through
from .frame_sampling import frame_count, frame_indices, resized_size
from .settings import FrameSampling

# Decoders and samplers overshoot [0, 1] by rounding; anything beyond one grey level is a mistake in the caller's range.
_RANGE_SLACK = 1 / 255


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
class PreparedClip:
    """What the vision tower reads, and how it came about.

    Attributes:
        patches: float32 [t * h * w, 1176].
        grid: (t, h, w) in patches.
        indices: sampled frame positions in the clip.
        size: resized (height, width) in pixels.
        total_frames, fps: of the whole clip.
        notes: what a reader of the scores should know of how the clip is shown (``clips.upright_rgb.notes``).
    """

    patches: torch.Tensor
    grid: tuple[int, int, int]
    indices: list[int]
    size: tuple[int, int]
    total_frames: int
    fps: float
    notes: tuple[str, ...] = ()

    @property
    def video_tokens(self) -> int:
        """Tokens that the clip takes in the text: one for each 2 x 2 patches."""
        t, h, w = self.grid
        return t * h * w // 4


def prepare_clip(source: object, sampling: FrameSampling, fps: float | None = None) -> PreparedClip:
    """Sample, decode, resize and cut a clip into patches, on the CPU (or where the given frames are).

    Args:
        source: a path, a binary file object, an open PyAV container, or ``Frames``. A ``PreparedClip`` is returned as it is.
        sampling: frame rate and size limits, from the checkpoint.
        fps: overrides the clip's own frame rate, in frames per second.

    Raises:
        ClipError: the clip cannot be scored; the message says why.
    """
    if isinstance(source, PreparedClip):
        return source
    if isinstance(source, Frames):
        chosen, indices, total, rate = _sample_given(source, sampling, fps)
        size = resized_size(chosen.shape[2], chosen.shape[3], sampling)
        resized, notes = resize_frames(chosen, size), ()
    elif isinstance(source, (str, Path, InputContainer)) or hasattr(source, "read"):

        def resize(picture: np.ndarray) -> np.ndarray:  # each frame as it comes: the large ones are never in memory together
            frame = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]
            return resize_frames(frame, resized_size(*picture.shape[:2], sampling)).to(torch.uint8).numpy()[0]

        decoded = decode_frames(source, lambda total, rate: _choose(total, rate, sampling), fps, convert=resize)
        resized = torch.from_numpy(decoded.frames).float()
        indices, total, rate, notes = decoded.indices, decoded.total_frames, decoded.fps, decoded.notes
        size = tuple(resized.shape[2:])
    else:
        raise ClipError(
            f"A clip is a path, a file object, a PyAV container or Frames(pixels, fps); got {type(source).__name__}."
        )
    patches, grid = patchify(normalise(resized))
    return PreparedClip(patches, grid, indices, size, total, rate, notes)


def _choose(total: int, rate: float, sampling: FrameSampling) -> list[int]:
    return frame_indices(total, frame_count(total, rate, sampling))


def _sample_given(
    clip: Frames, sampling: FrameSampling, fps: float | None
) -> tuple[torch.Tensor, list[int], int, float]:
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
    indices = _choose(pixels.shape[0], rate, sampling)
    # Indexing before conversion: only the sampled frames are copied, and a numpy view (a flip, say) may have any strides.
    chosen = pixels[indices][..., :3]
    if isinstance(chosen, np.ndarray) and (chosen.dtype == np.uint8 or chosen.dtype.kind == "f"):
        chosen = torch.from_numpy(np.ascontiguousarray(chosen))
    if not isinstance(chosen, torch.Tensor) or not (chosen.dtype == torch.uint8 or chosen.is_floating_point()):
        raise ClipError(f"{clip.name}: frames must be uint8 (0..255) or float (0..1); got {chosen.dtype}.")
    chosen = chosen.permute(0, 3, 1, 2)
    if chosen.dtype == torch.uint8:
        return chosen, indices, pixels.shape[0], rate
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
    return round_straight_through(grey, grey.detach().clamp(0, 255).round()), indices, pixels.shape[0], rate
