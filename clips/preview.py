"""A clip as any browser plays it. The clip itself, which is what training reads, stays as it is."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ClipError
from ..files.atomic_file import replacing
from ..files.file_lock import locked
from .video_file import Encoding, encode_frames

if TYPE_CHECKING:
    import numpy as np

_PLAYED = {("h264", "yuv420p"), ("h264", "yuvj420p"), ("vp8", "yuv420p"), ("vp9", "yuv420p"), ("av1", "yuv420p")}
_CONTAINERS = {".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm"}
_QUICK = Encoding(crf=8, preset="veryfast", threads=0)
LEAST_SIDE = 256  # pixels; smaller pictures are enlarged by a whole number, pixel by pixel, so that nothing is smoothed


def playable(path: Path, folder: Path) -> Path:
    """The clip itself where browsers play it, else a copy in ``folder`` that they do, made once for each content.

    The copy is H.264 with halved colour (4:2:0), which is all that some browsers play.

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
    from .frames import every_frame
    from .video_decoding import decode_frames

    decoded = decode_frames(str(path), every_frame)
    write_playable_frames(decoded.frames, decoded.fps, copy)


def write_playable_frames(frames: np.ndarray, fps: float, copy: Path) -> None:
    """Write frames as browsers play them, small ones enlarged; an odd row or column at the edge is left out.

    Args:
        frames: [T, H, W, 3] uint8 RGB.
        fps: frames a second.
        copy: an .mp4 file; replaced if present.
    """
    times = -(-LEAST_SIDE // min(frames.shape[1:3]))
    height, width = (frames.shape[1] * times) // 2 * 2, (frames.shape[2] * times) // 2 * 2
    large = (frame.repeat(times, 0).repeat(times, 1)[:height, :width] for frame in frames)
    encode_frames(copy, large, (height, width), fps, "yuv420p", _QUICK)
