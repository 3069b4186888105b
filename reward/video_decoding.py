"""Decode exactly the sampled frames of a video, the way players show them.

A first pass reads the packet table (no decoding) to learn how many frames there are and when each is shown; the
second pass decodes what the sampled frames depend on, seeking over the rest, and converts only those to RGB. Edit
lists and rotation are honoured, as in a player. PyAV does the work; versions before 17 ignore the colour matrix of a
stream unless told, and none rotates by itself.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from .errors import ClipError

MIN_FPS, MAX_FPS = 0.1, 1000.0
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
        source: a path, a binary file object, or an open PyAV input container (which is left open).
        choose: maps the number of frames and the clip's rate to the wanted indices.
        fps: overrides the rate that the container states, in frames per second.
        name: what to call the clip in error messages; the path by default.

    Raises:
        ClipError: missing, unreadable, truncated, no video stream, or an impossible frame rate.
    """
    name = name or (str(source) if isinstance(source, (str, Path)) else getattr(source, "name", None) or "video stream")
    try:
        with _open(source, name) as container:
            if not container.streams.video:
                raise ClipError(f"{name} has no video stream.")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            table = _read_packet_table(container, stream, name)
            rate = check_fps(fps if fps is not None else stream.average_rate, name)
            total = len(table.times)
            if total == 0:
                raise ClipError(f"{name} shows no frames.")
            indices = choose(total, rate)
            frames = _decode_wanted(container, stream, table, sorted(set(indices)), name)
    except av.error.FFmpegError as error:
        raise ClipError(
            f"{name} cannot be decoded ({error.strerror or error}): it is damaged, incomplete or not a video."
        ) from error
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


@contextmanager
def _open(source: object, name: str):
    if isinstance(source, InputContainer):
        yield source
        return
    if isinstance(source, (str, Path)):
        path = Path(source)
        if path.is_dir():
            raise ClipError(f"{name} is a folder, not a video file.")
        if not path.exists():
            raise ClipError(
                f"{name} does not exist. Check the path; a relative one starts at the manifest or at the current folder."
            )
        if path.stat().st_size == 0:
            raise ClipError(f"{name} is empty (0 bytes).")
        source = str(path)
    with av.open(source) as container:
        yield container


def _rewind(container: InputContainer, stream) -> None:
    container.seek(stream.start_time if stream.start_time is not None else 0, stream=stream, backward=True)


def _read_packet_table(container: InputContainer, stream, name: str) -> _PacketTable:
    if stream.start_time is not None and isinstance(container, InputContainer):
        _rewind(container, stream)  # a container that the caller has read from starts at its first frame again
    times, keyframes, packets, discarded, timeless = [], [], 0, 0, False
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        packets += 1
        if packet.is_corrupt:
            raise ClipError(f"{name} is damaged or truncated: packet {packets} is corrupt.")
        if packet.is_discard:
            discarded += 1
        elif packet.pts is None:
            timeless = True
        else:
            times.append(packet.pts)
            if packet.is_keyframe:
                keyframes.append(packet.pts)
    if stream.frames and packets < stream.frames:
        raise ClipError(f"{name} is truncated: its header promises {stream.frames} frames, {packets} can be read.")
    promised, shown = _promised_seconds(stream), _shown_seconds(times, stream.time_base)
    if shown < 0.9 * promised - 0.5:
        raise ClipError(f"{name} is truncated: its header promises {promised:.1f} s, {shown:.1f} s can be read.")
    if timeless or len(set(times)) != len(times):
        # Raw streams carry no usable times: count by decoding once.
        _rewind(container, stream)
        count = sum(1 for _ in container.decode(stream))
        return _PacketTable(list(range(count)), [], seekable=False)
    return _PacketTable(sorted(times), sorted(keyframes), seekable=discarded == 0)


def _promised_seconds(stream) -> float:
    """Length of the stream by its header, 0 when unknown. Matroska keeps it in a tag."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):([\d.]+)", stream.metadata.get("DURATION", ""))
    return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3]) if tag else 0.0


def _shown_seconds(times: list[int], time_base: Fraction) -> float:
    return float((max(times) - min(times)) * time_base) if times else 0.0


def _decode_wanted(container, stream, table: _PacketTable, wanted: list[int], name: str) -> dict[int, np.ndarray]:
    frames: dict[int, np.ndarray] = {}
    if table.seekable:
        _decode_by_seeking(container, stream, table, wanted, frames)
    if len(frames) < len(wanted):
        # No times, an edit list, or a container whose index misleads: from the start, in presentation order.
        _rewind(container, stream)
        missing = set(wanted) - set(frames)
        for index, frame in enumerate(container.decode(stream)):
            if index in missing:
                frames[index] = _upright_rgb(frame)
            if index >= wanted[-1]:
                break
    lost = [index for index in wanted if index not in frames]
    if lost:
        raise ClipError(f"{name} is damaged or truncated: frame {lost[0]} of {len(table.times)} cannot be decoded.")
    return frames


def _decode_by_seeking(
    container, stream, table: _PacketTable, wanted: list[int], frames: dict[int, np.ndarray]
) -> None:
    position = None  # time of the last decoded frame
    decoded = iter(())
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
                frames[index] = _upright_rgb(frame)
            if position >= time:
                break


def _upright_rgb(frame: av.VideoFrame) -> np.ndarray:
    """The frame as uint8 RGB [H, W, 3], converted by its own colour matrix and turned upright."""
    if frame.is_corrupt:
        raise ClipError("A sampled frame is damaged; the file is incomplete or was copied badly.")
    colorspace = int(frame.colorspace)
    if colorspace == _UNSPECIFIED_COLORSPACE:
        picture = frame.to_ndarray(format="rgb24")
    else:
        # Naming both matrices makes PyAV before 17 use the stream's own; newer versions give the same pixels.
        picture = frame.reformat(format="rgb24", src_colorspace=colorspace, dst_colorspace=_ITU601).to_ndarray()
    return np.rot90(picture, round(frame.rotation / 90) % 4) if frame.rotation else picture
