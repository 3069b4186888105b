"""When each frame of a clip is shown, learnt from its packets without decoding them, and the rate that follows.

Packets are usually frames, but not always: field-coded H.264 may have a packet for each field, and the pictures in front of the
first keyframe of a cut stream are not shown. `video_decoding` counts by decoding where that comes to light.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from av.container import InputContainer

from ..errors import ClipError

MIN_FPS, MAX_FPS = 0.1, 1000.0
AGAIN = "Copy or download the file again."
# Containers with an index of their keyframes. In the others (MPEG-TS, say) a seek may land behind the keyframe.
_INDEXED_FORMATS = {"mov", "mp4", "matroska", "webm"}
# Formats whose packets count up: a jump in the count is a lost packet, or the seam of two files put one after the other.
_COUNTED_FORMATS = {"mpegts", "mpeg"}


@dataclass(frozen=True)
class FrameTable:
    """The frames that a clip shows.

    Attributes:
        times: presentation times, sorted, in units of the stream's time base; just 0, 1, 2 ... where there are none.
        keyframes: those of them at which the container says that decoding can start.
        seekable: whether they may be used.
        timed: whether ``times`` are times.
        packets, leading: coded packets, and those of them that are shown before the first keyframe.
    """

    times: list[int]
    keyframes: list[int] = field(default_factory=list)
    seekable: bool = False
    timed: bool = True
    packets: int = 0
    leading: int = 0


def read_packets(container: InputContainer, stream, name: str) -> FrameTable | None:
    """Times of all frames, from the packets; None when they carry no usable times, or are in doubt: count by decoding.

    Raises:
        ClipError: the file is damaged, or holds less than its header promises.
    """
    times: list[int] = []
    decode_times: list[int] = []
    keyframes: list[int] = []
    packets, discarded, doubtful, end = 0, 0, False, -math.inf
    seams: list[int] = []  # positions in decode_times at which the count of packets jumps
    formats = set(container.format.name.split(","))
    first_keyframe = None
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        packets += 1
        if packet.is_corrupt:
            if formats.isdisjoint(_COUNTED_FORMATS):
                raise ClipError(f"{name} is damaged or truncated: packet {packets} is corrupt. {AGAIN}")
            doubtful = True
            seams.append(len(decode_times))
        if packet.is_discard:
            discarded += 1
        elif packet.pts is None:
            doubtful = True
        else:
            times.append(packet.pts)
            end = max(end, packet.pts + (packet.duration or 0))
            if packet.dts is not None:
                decode_times.append(packet.dts)
            if packet.is_keyframe:
                first_keyframe = packet.pts if first_keyframe is None else first_keyframe
                keyframes.append(packet.pts)
    if seams and not all(_is_seam(decode_times, seam) for seam in seams):
        raise ClipError(f"{name} is damaged or truncated: packets of it are lost. {AGAIN}")
    times.sort()
    if times and len(decode_times) == len(times):
        # Where B-frames are missing at the end, the last time of decoding tells, the last time of showing does not.
        end = min(end, times[0] + decode_times[-1] - decode_times[0] + end - times[-1])
    _check_complete(stream, packets, times, end, name)
    if doubtful or len(set(times)) != len(times):
        return None
    indexed = not _INDEXED_FORMATS.isdisjoint(formats)
    leading = sum(time < first_keyframe for time in times) if first_keyframe is not None else 0
    return FrameTable(times, sorted(keyframes), indexed and discarded == 0, True, packets, leading)


def _is_seam(decode_times: list[int], position: int) -> bool:
    """Whether nothing is missing around the packet at ``position``, whose count does not follow on the one before.

    Where two files were put one after the other the times begin anew, or go on without a gap; what lies between two
    such packets would leave one. (A frame that lost only a part of its packets is noticed when it is decoded.)
    """
    steps = [after - before for before, after in itertools.pairwise(decode_times)]
    usual = sorted(steps)[len(steps) // 2] if steps else 0
    return all(step <= 1.5 * usual for step in steps[max(position - 1, 0) : position + 3])


def frame_rate(stream, table: FrameTable) -> Fraction | float | None:
    """Frames per second of a clip: frames but one, over the time from the first to the last.

    What the container states counts where the times agree with it to their precision (a time base of milliseconds cannot
    tell 23.976 exactly), and where there are no times. A demuxer's estimate, of TS or WebM with a variable rate say, does not.
    None where nothing is known.
    """
    stated = [rate for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate) if _is_possible(rate)]
    if not table.timed or len(table.times) < 2:
        return stated[0] if stated else stream.average_rate
    ticks = table.times[-1] - table.times[0]
    span = ticks * stream.time_base
    measured = (len(table.times) - 1) / span
    # Both ends are rounded to a tick, so the span is right to one tick.
    for rate in stated:
        if abs((len(table.times) - 1) / Fraction(rate) - span) <= stream.time_base:
            return rate
    return measured


def check_fps(fps: float | Fraction | None, name: str = "the clip") -> float:
    """A frame rate as a float in [0.1, 1000] frames per second.

    Raises:
        ClipError: it is missing, not a number, or outside that range.
    """
    value = _number(fps)
    if not MIN_FPS <= value <= MAX_FPS:
        rate = "no frame rate" if fps is None else f"a frame rate of {fps!s}"
        raise ClipError(f"{name} has {rate}; give one between {MIN_FPS} and {MAX_FPS:g} frames per second (fps).")
    return value


def _is_possible(rate: Fraction | None) -> bool:
    return MIN_FPS <= _number(rate) <= MAX_FPS


def _number(value: Any) -> float:
    try:
        return float("nan") if value is None else float(value)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return float("nan")


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
        raise ClipError(f"{name} is truncated: its header promises {wanted} can be read. {AGAIN}")


def _is_trimmed(stream, promised: float) -> bool:
    """True when an edit list shows less than the stream holds."""
    return bool(stream.average_rate) and 0 < promised < float((stream.frames - 0.5) / stream.average_rate)


def _promised_seconds(stream) -> float:
    """Length of the stream by its header, 0 when unknown. Matroska keeps it in a tag."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):([\d.]+)", stream.metadata.get("DURATION", ""))
    return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3]) if tag else 0.0
