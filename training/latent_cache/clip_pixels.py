"""Clips as the VAE takes them, and what they are before that."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...clips.frames import View, read_frames
from ...clips.pixels import bytes_to_signed
from ...clips.video_decoding import decode_frames
from ...errors import ClipError
from ...files.digests import file_digest
from ...files.remembered import RememberedFacts
from ...reward.frame_pixels import resize_frames
from .buckets import Bucket, ClipShape

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
"""Endings of files that are read as pictures; all others are clips."""


@dataclass(frozen=True)
class ClipFacts:
    """A clip's content digest and shape."""

    digest: str
    shape: ClipShape


class KnownClips:
    """Facts about clips, kept in a file so that an unchanged clip (same size and time of change) is not read again."""

    def __init__(self, path: Path):
        self._known = RememberedFacts(path)
        self.save = self._known.save

    def facts(self, clip: Path) -> ClipFacts:
        """Read a clip's first frame and all its bytes, unless it is known.

        Raises:
            ClipError: it cannot be read.
        """
        clip = clip.absolute()
        try:
            state = clip.stat()
        except OSError as error:
            raise ClipError(f"{clip} cannot be read ({error.strerror}). Check the path.") from None
        stamp, entry = [state.st_size, state.st_mtime_ns], self._known.get(str(clip))
        if not entry or entry["stamp"] != stamp:
            entry = {"stamp": stamp, "digest": clip_digest(clip), "shape": asdict(clip_shape(clip))}
            self._known[str(clip)] = entry
        return ClipFacts(entry["digest"], ClipShape(**entry["shape"]))


def clip_shape(path: Path) -> ClipShape:
    """Size, length and rate of a clip, of which the first frame is decoded.

    Raises:
        ClipError: it cannot be read.
    """
    first = decode_frames(path, lambda _total, _rate: [0])
    height, width = first.frames.shape[1:3]
    return ClipShape(width, height, first.total_frames, first.fps)


def clip_digest(path: Path) -> str:
    """``file_digest`` of a clip or picture.

    Raises:
        ClipError: it cannot be read.
    """
    try:
        return file_digest(path)
    except OSError as error:
        raise ClipError(f"{path} cannot be read ({error.strerror}). Check the path.") from None


def read_clip(path: Path, bucket: Bucket, fps: float | None = None) -> Tensor:
    """[3, T, H, W] float32 RGB in -1..1: frames at the bucket's rate, scaled to cover its size, the middle cut out.

    Args:
        fps: the clip's frame rate, where its container is wrong.

    Raises:
        ClipError: it cannot be decoded, or is too short.
    """

    def choose(total: int, rate: float) -> list[int]:
        indices = bucket.indices(rate)
        if indices[-1] >= total:
            raise ClipError(f"{path} has {total} frames; {bucket} needs {indices[-1] + 1} at {rate:g} frames a second.")
        return indices

    frames = read_frames(path, View(choose, lambda frames: _fitted(frames, bucket)), fps)
    return bytes_to_signed(frames.pixels.permute(1, 0, 2, 3))


def read_first_frame(path: Path, bucket: Bucket) -> Tensor:
    """[3, H, W] float32 RGB in -1..1: a picture, or a clip's first frame, brought to the bucket's size as clips are.

    Raises:
        ClipError: it cannot be read.
    """
    if path.suffix.lower() in PICTURES:
        frames = torch.from_numpy(_read_picture(path)[None])
    else:
        frames = torch.from_numpy(decode_frames(path, lambda _total, _rate: [0]).frames)
    return bytes_to_signed(_fitted(frames.permute(0, 3, 1, 2), bucket)[0])


def _read_picture(path: Path) -> np.ndarray:
    """[H, W, 3] uint8, upright."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as picture:
            return np.array(ImageOps.exif_transpose(picture).convert("RGB"))
    except (OSError, ValueError) as error:
        raise ClipError(f"The picture {path} cannot be read ({error}). Check the path and the file.") from None


def _fitted(frames: Tensor, bucket: Bucket) -> Tensor:
    """Frames [T, 3, H, W] uint8, scaled to cover the bucket's size, the middle cut out; grey levels 0..255."""
    height, width = frames.shape[2:]
    scale = max(bucket.height / height, bucket.width / width)
    size = max(bucket.height, round(height * scale)), max(bucket.width, round(width * scale))
    resized = frames if size == (height, width) else resize_frames(frames, size)
    top, left = (size[0] - bucket.height) // 2, (size[1] - bucket.width) // 2
    return resized[:, :, top : top + bucket.height, left : left + bucket.width]
