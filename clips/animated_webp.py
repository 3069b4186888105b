"""Animated WebP, which ComfyUI writes and FFmpeg does not read: its frames through Pillow."""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ClipError
from .upright_rgb import on_black

_HEAD = 32


def is_webp(source: Any) -> bool:
    """True for a path, or a seekable binary file object, whose content begins as a WebP file does."""
    try:
        if isinstance(source, (str, Path)):
            if not Path(source).is_file():
                return False
            with open(source, "rb") as file:
                head = file.read(_HEAD)
        elif hasattr(source, "seekable") and source.seekable():
            position = source.tell()
            source.seek(0)
            head = source.read(_HEAD)
            source.seek(position)
        else:
            return False
    except (OSError, ValueError):
        return False
    return isinstance(head, bytes) and head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def is_animated_webp(path: Path) -> bool:
    """True for a file that says that it is animated: the second bit of an extended header's flags."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) > 20 and bool(head[20] & 2)


class AnimatedWebp:
    """The frames of one file, as often as they are asked for.

    Attributes:
        total: number of frames.
        fps: frames but one over the time from the first to the last; of a single frame, one over its duration.
    """

    def __init__(self, source: Any, name: str) -> None:
        """Raises ClipError: the file is damaged."""
        self._source, self._name = source, name
        durations = [duration for _, duration in self._read(set())]
        self.total = len(durations)
        shown = sum(durations[:-1] or durations)
        self.fps = 1000 * max(len(durations) - 1, 1) / shown if shown else None

    def frames(self, wanted: set[int]) -> dict[int, np.ndarray]:
        """Those frames as uint8 RGB [H, W, 3], transparent parts on black.

        Raises:
            ClipError: the file is damaged.
        """
        return {index: picture for index, (picture, _) in enumerate(self._read(wanted)) if index in wanted}

    def every(self) -> Iterator[np.ndarray]:
        """All frames one after the other, as ``frames`` gives them.

        Raises:
            ClipError: the file is damaged.
        """
        return (picture for picture, _ in self._read(range(self.total)))

    def _read(self, wanted: Container[int]):
        from PIL import Image

        try:
            if not isinstance(self._source, (str, Path)):
                self._source.seek(0)
            with Image.open(self._source, formats=["WEBP"]) as film:
                for index in range(getattr(film, "n_frames", 1)):
                    film.seek(index)
                    film.load()
                    picture = on_black(np.asarray(film.convert("RGBA"))) if index in wanted else None
                    yield picture, film.info.get("duration", 0)
        except (OSError, ValueError, EOFError, SyntaxError) as error:
            raise ClipError(f"{self._name} cannot be decoded ({error}): it is damaged or incomplete.") from error
