"""A clip as any browser plays it. The clip itself, which is what training reads, stays as it is."""

from __future__ import annotations

import hashlib
import itertools
import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ClipError
from ..files.atomic_file import replacing
from ..files.file_lock import locked
from .video_file import Encoding, encode_frames

if TYPE_CHECKING:
    import numpy as np

_PLAYED = {("h264", "yuv420p"), ("h264", "yuvj420p"), ("vp8", "yuv420p"), ("vp9", "yuv420p"), ("av1", "yuv420p")}
_CONTAINERS = {".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm"}
_QUICK = Encoding(crf=8, preset="veryfast", threads=0)
MOST_PIXELS = 1920 * 1080  # of a copy; larger pictures are made smaller
LEAST_SIDE = 256  # pixels; smaller pictures are enlarged by a whole number, pixel by pixel, so that nothing is smoothed


def playable(path: Path, folder: Path) -> Path:
    """The clip itself where browsers play it, else a copy in ``folder`` that they do, made once for each content.

    The copy is H.264 with halved colour (4:2:0), which is all that some browsers play, and at most ``MOST_PIXELS`` large.

    Raises:
        ClipError: the clip cannot be decoded.
    """
    path = Path(path)
    if _is_played(path):
        return path
    state = path.stat()
    name = hashlib.sha256(f"{path.resolve()}\0{state.st_size}\0{state.st_mtime_ns}".encode()).hexdigest()[:24]
    copy = Path(folder) / f"{name}.mp4"
    with locked(copy):  # a page that asks twice does not make it twice
        if not copy.exists():
            _write_copy(path, copy)
    return copy


def content_type(path: Path) -> str:
    """What a server calls a playable file."""
    return _CONTAINERS[Path(path).suffix.lower()]


def write_playable(path: Path, target: Path) -> Path:
    """Put a clip at ``target`` in a form that browsers play: the file itself, or a copy as ``playable`` makes it.

    Args:
        target: an .mp4 file; replaced if present.

    Raises:
        ClipError: the clip cannot be decoded.
    """
    path, target = Path(path), Path(target)
    if _CONTAINERS.get(path.suffix.lower()) == "video/mp4" and _is_played(path):
        with replacing(target) as temporary:
            shutil.copyfile(path, temporary)
    else:
        _write_copy(path, target)
    return target


def _is_played(path: Path) -> bool:
    import av

    from .opening import open_video

    if path.suffix.lower() not in _CONTAINERS:
        return False
    try:
        with open_video(path) as container:
            stream = container.streams.video[0]
            small = min(stream.height, stream.width) < LEAST_SIDE
            return not small and (stream.codec_context.name, stream.format.name) in _PLAYED
    except (OSError, IndexError, AttributeError, av.FFmpegError) as error:
        raise ClipError(f"{path} cannot be read as a video ({error}).") from error


def rate_and_length(path: Path) -> tuple[float | None, int | None]:
    """Frames per second and number of frames, as the file says; None where it does not.

    Raises:
        ClipError: it is no video.
    """
    import av

    from .opening import open_video

    try:
        with open_video(path) as container:
            stream = container.streams.video[0]
            return float(stream.average_rate) if stream.average_rate else None, stream.frames or None
    except (OSError, IndexError, av.FFmpegError) as error:
        raise ClipError(f"The clip {path.name} cannot be read as a video ({error}).") from error


def _write_copy(path: Path, copy: Path) -> None:
    """Frame by frame: neither a long nor a large clip is ever in memory as a whole."""
    from .clip_fault import reading
    from .video_decoding import play_frames

    with reading(path):
        frames = play_frames(str(path))
        first, fps = next(frames)
        times, size = _shown_size(*first.shape[:2])
        shown = (_fitted(frame, times, size) for frame in itertools.chain([first], (frame for frame, _ in frames)))
        encode_frames(copy, shown, size, fps, "yuv420p", _QUICK)


def _shown_size(height: int, width: int) -> tuple[int, tuple[int, int]]:
    """How many times each pixel is shown, and (height, width) of a copy, both even; 0 times where it is made smaller."""
    times, share = -(-LEAST_SIDE // min(height, width)), 1.0
    if times**2 * height * width > MOST_PIXELS:
        times, share = 1, math.sqrt(MOST_PIXELS / (height * width))
    if share < 1:
        times = 0
    scale = times or share
    return times, (max(int(height * scale) // 2 * 2, 2), max(int(width * scale) // 2 * 2, 2))


def _fitted(frame: np.ndarray, times: int, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    if times:
        return frame.repeat(times, 0).repeat(times, 1)[: size[0], : size[1]]
    return np.asarray(Image.fromarray(frame).resize(size[::-1], Image.Resampling.BICUBIC))


def write_playable_frames(frames: np.ndarray, fps: float, copy: Path) -> None:
    """Write frames as browsers play them, small ones enlarged, large ones made smaller.

    Args:
        frames: [T, H, W, 3] uint8 RGB.
        fps: frames a second.
        copy: an .mp4 file; replaced if present.
    """
    times, size = _shown_size(*frames.shape[1:3])
    encode_frames(copy, (_fitted(frame, times, size) for frame in frames), size, fps, "yuv420p", _QUICK)
