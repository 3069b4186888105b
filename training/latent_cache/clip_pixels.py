"""Clips as the VAE takes them, and what they are before that."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...clips.pixels import bytes_to_signed
from ...clips.video_decoding import decode_frames
from ...errors import ClipError
from ...files.atomic_file import write_json
from ...files.digests import file_digest
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
        self.path, self._changed = path, False
        try:
            self._known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # none yet, or cut off by a power failure: only time is lost
            self._known = {}

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
            first = decode_frames(clip, lambda _total, _rate: [0])
            height, width = first.frames.shape[1:3]
            shape = ClipShape(width, height, first.total_frames, first.fps)
            entry = {"stamp": stamp, "digest": clip_digest(clip), "shape": asdict(shape)}
            self._known[str(clip)], self._changed = entry, True
        return ClipFacts(entry["digest"], ClipShape(**entry["shape"]))

    def save(self) -> None:
        """Write what was learnt."""
        if self._changed:
            write_json(self.path, self._known, indent=None)
            self._changed = False


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

    return _fitted(torch.from_numpy(decode_frames(path, choose, fps).frames), bucket)


def read_first_frame(path: Path, bucket: Bucket) -> Tensor:
    """[3, H, W] float32 RGB in -1..1: a picture, or a clip's first frame, brought to the bucket's size as clips are.

    Raises:
        ClipError: it cannot be read.
    """
    if path.suffix.lower() in PICTURES:
        frames = _read_picture(path)[None]
    else:
        frames = decode_frames(path, lambda _total, _rate: [0]).frames
    return _fitted(torch.from_numpy(frames), bucket)[:, 0]


def _read_picture(path: Path) -> np.ndarray:
    """[H, W, 3] uint8, upright."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as picture:
            return np.array(ImageOps.exif_transpose(picture).convert("RGB"))
    except (OSError, ValueError) as error:
        raise ClipError(f"The picture {path} cannot be read ({error}). Check the path and the file.") from None


def _fitted(frames: Tensor, bucket: Bucket) -> Tensor:
    """Frames [T, H, W, 3] uint8 as [3, T, H', W'] in -1..1, scaled to cover the bucket's size, the middle cut out."""
    frames = frames.permute(0, 3, 1, 2)
    height, width = frames.shape[2:]
    scale = max(bucket.height / height, bucket.width / width)
    size = max(bucket.height, round(height * scale)), max(bucket.width, round(width * scale))
    resized = frames.float() if size == (height, width) else resize_frames(frames, size)
    top, left = (size[0] - bucket.height) // 2, (size[1] - bucket.width) // 2
    cut = resized[:, :, top : top + bucket.height, left : left + bucket.width]
    return bytes_to_signed(cut.permute(1, 0, 2, 3))
