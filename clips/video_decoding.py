"""Decode exactly the sampled frames of a video, the way players show them.

A first pass reads the packet table (no decoding) to learn how many frames there are and when each is shown; the
second pass opens the clip anew (seeking back to the start loses frames in some formats), decodes what the sampled
frames depend on, seeking over the rest, and converts only those to RGB. Edit lists and rotation are honoured, as in a
player. PyAV does the work; versions before 17 ignore the colour matrix of a stream unless told, and none rotates by
itself.
"""

from __future__ import annotations

import io
import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter

from ..errors import ClipError

MIN_FPS, MAX_FPS = 0.1, 1000.0
# Containers with an index of their keyframes. In the others (MPEG-TS, say) a seek may land behind the keyframe.
_INDEXED_FORMATS = {"mov", "mp4", "matroska", "webm"}
_OPTIONS: dict[str, Any] = {"metadata_errors": "replace"}  # a title in another encoding must not keep a clip from being scored
_AGAIN = "Copy or download the file again."
_UNSPECIFIED_COLORSPACE = 2
_ITU601 = 5


@dataclass(frozen=True)
class DecodedFrames:
    """Sampled frames of one clip.

    Attributes:
        frames: uint8 RGB [n, H, W, 3], upright.
        indices: position of each frame in the clip, 0-based.
        total_frames: frames that the clip shows in all.
        fps: frames per second of the clip.
    """

    frames: np.ndarray
    indices: list[int]
    total_frames: int
    fps: float


def decode_frames(
    source: object, choose: Callable[[int, float], list[int]], fps: float | None = None, name: str | None = None
) -> DecodedFrames:
    """Decode the frames that ``choose(total_frames, fps)`` asks for.

    Args:
        source: a path, a binary file object (read from its beginning, and put back where it stood), or an open PyAV input
            container (which is left open, at its first frame).
        choose: maps the number of frames and the clip's rate to the wanted indices.
        fps: overrides the rate that the container states, in frames per second.
        name: what to call the clip in error messages; the path by default.

    Raises:
        ClipError: missing, unreadable, truncated, no video stream, or an impossible frame rate.
    """
    name = name or (str(source) if isinstance(source, (str, Path)) else getattr(source, "name", None) or "video stream")
    try:
        open_anew = _opener(source, name)
        with open_anew() as container:
            stream = _video_stream(container, name)
            table = _read_packet_table(container, stream, name)
            rate = check_fps(fps if fps is not None else stream.average_rate, name)
        if table is None:  # raw streams carry no usable times: count by decoding once
            with open_anew() as container:
                count = sum(1 for _ in container.decode(_video_stream(container, name)))
            table = _PacketTable(list(range(count)), [], seekable=False)
        total = len(table.times)
        if total == 0:
            raise ClipError(f"{name} shows no frames; it is damaged, or only its header was copied.")
        indices = choose(total, rate)
        frames = _decode_wanted(open_anew, table, sorted(set(indices)), name)
    except av.error.FFmpegError as error:
        raise ClipError(
            f"{name} cannot be decoded ({error.strerror or error}): it is damaged, incomplete or not a video."
        ) from error
    except OSError as error:
        raise ClipError(
            f"{name} cannot be read ({error}). Check the path, the permissions and the connection."
        ) from error
    if len({frame.shape for frame in frames.values()}) > 1:
        raise ClipError(f"{name} changes its frame size midway; re-encode it at one size.")
    return DecodedFrames(np.stack([frames[index] for index in indices]), indices, total, rate)


def check_fps(fps: float | Fraction | None, name: str = "the clip") -> float:
    """A frame rate as a float in [0.1, 1000] frames per second.

    Raises:
        ClipError: it is missing, not a number, or outside that range.
    """
    try:
        value = float("nan") if fps is None else float(fps)
    except (TypeError, ValueError):
        value = float("nan")
    if not (math.isfinite(value) and MIN_FPS <= value <= MAX_FPS):
        found = "no frame rate" if fps is None else f"a frame rate of {fps!s}"
        raise ClipError(f"{name} has {found}; give one between {MIN_FPS} and {MAX_FPS:g} frames per second (fps).")
    return value


@dataclass(frozen=True)
class _PacketTable:
    times: list[int]  # presentation times of the shown frames, sorted, in stream time base
    keyframes: list[int]  # those of them at which decoding can start
    seekable: bool


def _opener(source: Any, name: str) -> Callable[[], AbstractContextManager[InputContainer]]:
    """A function that opens the clip at its first frame, as often as it is called."""
    if isinstance(source, InputContainer):
        return partial(_rewound, source)
    if isinstance(source, (str, Path)):
        path = Path(source)
        if path.is_dir():
            raise ClipError(f"{name} is a folder, not a video file.")
        if not path.exists():
            raise ClipError(
                f"{name} does not exist. Check the path; a relative one starts at the manifest or at the current folder."
            )
        if path.stat().st_size == 0:
            raise ClipError(f"{name} is empty (0 bytes). Copy or render it again.")
        return partial(av.open, str(path), **_OPTIONS)
    if isinstance(source, io.TextIOBase):
        raise ClipError(f"{name} is open as text; open it in binary mode ('rb').")
    if not (hasattr(source, "seekable") and source.seekable()):
        source = io.BytesIO(source.read())  # a pipe: two passes need it in memory
    return partial(_opened_file, source)


@contextmanager
def _opened_file(file: Any):
    position = file.tell()
    file.seek(0)
    try:
        with av.open(file, **_OPTIONS) as container:
            yield container
    finally:
        file.seek(position)


@contextmanager
def _rewound(container: InputContainer):
    stream = container.streams.best("video")
    first = 0.0
    if stream is not None and stream.start_time is not None and stream.time_base is not None:
        first = float(stream.start_time * stream.time_base)
    start = min(0, math.floor(first * av.time_base))
    try:
        container.seek(start)
    except AssertionError:
        raise ClipError(f"{container.name} is closed; pass the container before closing it, or its path.") from None
    yield container
    container.seek(start)  # also revives the decoder, which the end of the stream has drained


def _video_stream(container: InputContainer, name: str):
    stream = container.streams.best("video")  # not a cover picture, where there is a film
    if not isinstance(stream, av.VideoStream):
        raise ClipError(f"{name} has no video stream; give a video file.")
    if not stream.codec_context.is_open:  # a container that the caller has decoded from keeps its threads
        stream.thread_type = "AUTO"
    return stream


def _read_packet_table(container: InputContainer, stream, name: str) -> _PacketTable | None:
    """Times of all frames, from the packets; None when the packets carry no usable times."""
    times, decode_times, keyframes, packets, discarded, timeless, end = [], [], [], 0, 0, False, -math.inf
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        packets += 1
        if packet.is_corrupt:
            raise ClipError(f"{name} is damaged or truncated: packet {packets} is corrupt. {_AGAIN}")
        if packet.is_discard:
            discarded += 1
        elif packet.pts is None:
            timeless = True
        else:
            times.append(packet.pts)
            end = max(end, packet.pts + (packet.duration or 0))
            if packet.dts is not None:
                decode_times.append(packet.dts)
            if packet.is_keyframe:
                keyframes.append(packet.pts)
    times.sort()
    if times and len(decode_times) == len(times):
        # Where B-frames are missing at the end, the last time of decoding tells, the last time of showing does not.
        end = min(end, times[0] + decode_times[-1] - decode_times[0] + end - times[-1])
    _check_complete(stream, packets, times, end, name)
    if timeless or len(set(times)) != len(times):
        return None
    indexed = not _INDEXED_FORMATS.isdisjoint(container.format.name.split(","))
    return _PacketTable(times, sorted(keyframes), seekable=indexed and discarded == 0)


def _check_complete(stream, packets: int, times: list[int], end: float, name: str) -> None:
    """Compare what was read with what the header promises: a number of frames (MP4, AVI), or a length (Matroska)."""
    promised = _promised_seconds(stream)
    shown = float((end - times[0]) * stream.time_base) if times else 0.0
    frame = float((times[-1] - times[0]) * stream.time_base) / (len(times) - 1) if len(times) > 1 else 0.0
    if 0 < packets < stream.frames and _is_trimmed(stream, promised):
        lost = shown < promised - 0.5 * frame  # the header counts frames that an edit list has cut off as well
    elif stream.frames:
        lost = packets < stream.frames
    else:
        # Matroska's tag holds the length or, from FFmpeg, the time of the end, which a clip that starts late reaches too.
        lost = max(shown, float(end * stream.time_base) if times else 0.0) < 0.95 * promised - 1.5 * frame
    if lost:
        wanted = f"{stream.frames} frames, {packets}" if stream.frames else f"{promised:.1f} s, {shown:.1f} s"
        raise ClipError(f"{name} is truncated: its header promises {wanted} can be read. {_AGAIN}")


def _is_trimmed(stream, promised: float) -> bool:
    """True when an edit list shows less than the stream holds."""
    return bool(stream.average_rate) and 0 < promised < float((stream.frames - 0.5) / stream.average_rate)


def _promised_seconds(stream) -> float:
    """Length of the stream by its header, 0 when unknown. Matroska keeps it in a tag."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):([\d.]+)", stream.metadata.get("DURATION", ""))
    return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3]) if tag else 0.0


def _decode_wanted(open_anew: Callable, table: _PacketTable, wanted: list[int], name: str) -> dict[int, np.ndarray]:
    frames: dict[int, np.ndarray] = {}
    to_rgb = _UprightRgb(name)
    if table.seekable:
        with open_anew() as container:
            _decode_by_seeking(container, _video_stream(container, name), table, wanted, frames, to_rgb)
    missing = set(wanted) - set(frames)
    if missing:
        # No times, an edit list, or a container whose index misleads: from the start, in presentation order.
        with open_anew() as container:
            for index, frame in enumerate(container.decode(_video_stream(container, name))):
                if index in missing:
                    frames[index] = to_rgb(frame)
                if index >= wanted[-1]:
                    break
    lost = [index for index in wanted if index not in frames]
    if lost:
        found = f"frame {lost[0]} of {len(table.times)} cannot be decoded"
        raise ClipError(f"{name} is damaged or truncated: {found}. {_AGAIN}")
    return frames


def _decode_by_seeking(
    container, stream, table: _PacketTable, wanted: list[int], frames: dict[int, np.ndarray], to_rgb: _UprightRgb
) -> None:
    position = None  # time of the last decoded frame
    decoded: Iterator[av.VideoFrame] = iter(())
    for index in wanted:
        time = table.times[index]
        before = bisect_right(table.keyframes, time) - 1
        keyframe = table.keyframes[before] if before >= 0 else table.times[0]
        if position is None or keyframe > position:
            container.seek(keyframe, stream=stream, backward=True)
            decoded = container.decode(stream)
        for frame in decoded:
            if frame.pts is None:
                return
            position = frame.pts
            if position == time:
                frames[index] = to_rgb(frame)
            if position >= time:
                break


class _UprightRgb:
    """Turns frames of one clip into uint8 RGB [H, W, 3], by their own colour matrix and the right way up.

    One reformatter serves the whole clip: a new one for each frame costs more than converting a small frame.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        if frame.is_corrupt:
            raise ClipError(f"{self._name} has a damaged frame where one is needed. {_AGAIN}")
        colorspace = int(frame.colorspace)
        options = {}
        if colorspace != _UNSPECIFIED_COLORSPACE:
            # Naming both matrices makes PyAV before 17 use the stream's own; newer versions give the same pixels.
            options = {"src_colorspace": colorspace, "dst_colorspace": _ITU601}
        picture = self._reformatter.reformat(frame, format="rgb24", **options).to_ndarray()
        return np.rot90(picture, round(frame.rotation / 90) % 4) if frame.rotation else picture
