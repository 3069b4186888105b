"""Decode exactly the sampled frames of a video, the way players show them.

A first pass reads the packet table (no decoding) to learn how many frames there are and when each is shown; the
second pass opens the clip anew (seeking back to the start loses frames in some formats), decodes what the sampled
frames depend on, seeking over the rest, and converts only those to RGB. Edit lists, rotation and mirroring are honoured, as
in a player. PyAV does the work; versions before 17 ignore the colour matrix of a stream unless told, and none turns pictures by
itself.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from ..errors import ClipError
from .animated_webp import AnimatedWebp, is_webp
from .clip_fault import is_of_the_machine
from .frame_table import AGAIN, FrameTable, check_fps, frame_rate, read_packets
from .opening import opener
from .upright_rgb import UprightRgb, notes

# Above this many pixels frames are not decoded side by side: each would hold buffers of its own.
_LARGE_FRAME = 4096 * 2304
# Decoders in which a frame that is marked as no reference is one for no other. HEVC's marks hold for one temporal layer alone.
_DISPOSABLE_KNOWN = frozenset({"h264", "mpeg1video", "mpeg2video", "mpeg4"})

Opener = Callable[[], AbstractContextManager[InputContainer]]


@dataclass(frozen=True)
class DecodedFrames:
    """Sampled frames of one clip.

    Attributes:
        frames: uint8 RGB [n, H, W, 3], upright; or what ``convert`` made of them, stacked.
        indices: position of each frame in the clip, 0-based.
        total_frames: frames that the clip shows in all.
        fps: frames per second of the clip.
        notes: what a reader of its scores should know of how it is shown.
    """

    frames: np.ndarray
    indices: list[int]
    total_frames: int
    fps: float
    notes: tuple[str, ...] = ()


def decode_frames(
    source: object,
    choose: Callable[[int, float], list[int]],
    fps: float | None = None,
    name: str | None = None,
    convert: Callable[[np.ndarray], np.ndarray] | None = None,
    convert_at: Callable[[int, np.ndarray], np.ndarray] | None = None,
) -> DecodedFrames:
    """Decode the frames that ``choose(total_frames, fps)`` asks for.

    Args:
        source: a path, a binary file object (read from its beginning, and put back where it stood), or an open PyAV input
            container (which is left open, at its first frame).
        choose: maps the number of frames and the clip's rate to the wanted indices.
        fps: overrides the rate that the container states, in frames per second.
        name: what to call the clip in error messages; the path by default.
        convert: applied to each wanted frame (uint8 RGB [H, W, 3]) as soon as it is decoded, so that the large frames of a clip
            are never in memory together.
        convert_at: in the place of ``convert``, and told the frame's index too. Frames mostly come in their order, but not in
            every file; where they are counted anew, ``choose`` is called again and all of them come again.

    Raises:
        ClipError: missing, unreadable, truncated, no video stream, or an impossible frame rate.
    """
    name = _name_of(source, name)
    plain = convert or (lambda picture: picture)
    convert_at = convert_at or (lambda index, picture: plain(picture))
    with _said_by_name(name):
        if is_webp(source):
            return _decode_webp(AnimatedWebp(source, name), choose, fps, name, convert_at)
        return _decode_video(opener(source, name), choose, fps, name, convert_at)


def play_frames(source: object, name: str | None = None) -> Iterator[tuple[np.ndarray, float]]:
    """All frames of a clip one after the other, each with the clip's rate: never more than one is in memory.

    Args:
        source, name: as for ``decode_frames``.

    Yields:
        uint8 RGB [H, W, 3], upright, and frames per second.

    Raises:
        ClipError: as ``decode_frames``.
    """
    name = _name_of(source, name)
    # The last frame is sought first: that tells the rate and the number of frames also where packets are not frames.
    clip = decode_frames(source, lambda total, _rate: [total - 1], name=name, convert=lambda _: np.empty(0))
    count = 0
    with _said_by_name(name):
        if is_webp(source):
            for picture in AnimatedWebp(source, name).every():
                yield picture, clip.fps
            return
        to_rgb = UprightRgb(name)
        with opener(source, name)() as container:
            for frame in itertools.islice(container.decode(_video_stream(container, name)), clip.total_frames):
                yield to_rgb(frame), clip.fps
                count += 1
    if count < clip.total_frames:
        raise ClipError(f"{name} is damaged: {count} of its {clip.total_frames} frames can be decoded. {AGAIN}")


def _name_of(source: object, name: str | None) -> str:
    return str(name or (source if isinstance(source, (str, Path)) else getattr(source, "name", None) or "video stream"))


@contextmanager
def _said_by_name(name: str) -> Iterator[None]:
    """What FFmpeg and the system have against a clip, as a ClipError that names it."""
    try:
        yield
    except ClipError:
        raise
    except av.error.FFmpegError as error:
        if is_of_the_machine(error):
            raise
        raise ClipError(
            f"{name} cannot be decoded ({error.strerror or error}): it is damaged, incomplete or not a video."
        ) from error
    except OSError as error:
        if is_of_the_machine(error):
            raise
        raise ClipError(
            f"{name} cannot be read ({error}). Check the path, the permissions and the connection."
        ) from error
    except MemoryError as error:
        raise ClipError(f"{name} is too large for the memory of this machine; make it smaller or shorter.") from error


def _decode_video(
    open_anew: Opener, choose: Callable, fps: float | None, name: str, convert_at: Callable
) -> DecodedFrames:
    with open_anew() as container:
        stream = _video_stream(container, name)
        about = notes(stream)
        table = read_packets(container, stream, name)
        if table is None:
            table = _count_by_decoding(open_anew, name)
        rate = check_fps(fps if fps is not None else frame_rate(stream, table), name)
        indices, frames = _decode_wanted(open_anew, table, choose, rate, name, convert_at)
        if frames is None:
            table = _count_again(open_anew, table, indices, name)
            rate = check_fps(fps if fps is not None else frame_rate(stream, table), name)
            indices, frames = _decode_wanted(open_anew, table, choose, rate, name, convert_at)
    if frames is None:
        raise _lost(indices, table, name)
    return DecodedFrames(np.stack([frames[index] for index in indices]), indices, len(table.times), rate, about)


def _decode_webp(
    film: AnimatedWebp, choose: Callable, fps: float | None, name: str, convert_at: Callable
) -> DecodedFrames:
    rate = check_fps(film.fps if fps is None else fps, name)
    indices = choose(film.total, rate)
    frames = film.frames(set(indices))
    return DecodedFrames(np.stack([convert_at(index, frames[index]) for index in indices]), indices, film.total, rate)


def _video_stream(container: InputContainer, name: str):
    stream = container.streams.best("video")  # not a cover picture, where there is a film
    if not isinstance(stream, av.VideoStream):
        raise ClipError(f"{name} has no video stream; give a video file.")
    context = stream.codec_context
    if context is None:
        raise ClipError(f"{name} is in a video format that this FFmpeg cannot decode; re-encode it as H.264.")
    if not context.is_open:  # a container that the caller has decoded from keeps its threads
        stream.thread_type = "SLICE" if context.width * context.height > _LARGE_FRAME else "AUTO"
    return stream


def _count_by_decoding(open_anew: Opener, name: str) -> FrameTable:
    """The frames that a decoder gives from the start.

    Raises:
        ClipError: one of them is damaged.
    """
    times, count = [], 0
    with open_anew() as container:
        for frame in container.decode(_video_stream(container, name)):
            if frame.is_corrupt:
                raise ClipError(f"{name} is damaged or truncated: frame {count} is corrupt. {AGAIN}")
            times.append(frame.pts)
            count += 1
    known = [time for time in times if time is not None]
    timed = len(known) == count and known == sorted(set(known))
    return FrameTable(known if timed else list(range(count)), timed=timed, packets=count)


def _count_again(open_anew: Opener, table: FrameTable, indices: list[int], name: str) -> FrameTable:
    """The frames of a clip of which fewer are shown than it has packets, where that is no damage.

    That is so where each packet is a field, half a frame, and where a stream that was cut begins with pictures that build
    on what was cut off.

    Raises:
        ClipError: it is damage.
    """
    shown = _count_by_decoding(open_anew, name)
    count = len(shown.times)
    if abs(table.packets - 2 * count) <= 1 or (count and count == table.packets - table.leading):
        return shown
    raise _lost(indices, table, name)


def _lost(indices: list[int], table: FrameTable, name: str) -> ClipError:
    lost = max(indices, default=0)
    return ClipError(f"{name} is damaged or truncated: frame {lost} of {len(table.times)} cannot be decoded. {AGAIN}")


def _decode_wanted(
    open_anew: Opener, table: FrameTable, choose: Callable, rate: float, name: str, convert_at: Callable
) -> tuple[list[int], dict[int, np.ndarray] | None]:
    """The wanted indices, and the converted frames; None for the frames where one of them does not come."""
    if not table.times:
        raise ClipError(f"{name} shows no frames; it is damaged, or only its header was copied.")
    indices = choose(len(table.times), rate)
    wanted = sorted(set(indices))
    frames: dict[int, np.ndarray] = {}
    to_rgb = UprightRgb(name)
    if table.seekable:
        with open_anew() as container:
            _decode_by_seeking(container, _video_stream(container, name), table, wanted, frames, to_rgb, convert_at)
    missing = set(wanted) - set(frames)
    if missing:
        # No times, an edit list, or a container whose index misleads: from the start, in presentation order.
        last = max(missing)
        with open_anew() as container:
            for index, frame in enumerate(container.decode(_video_stream(container, name))):
                if index in missing:
                    frames[index] = convert_at(index, to_rgb(frame))
                if index >= last:
                    break
    return indices, frames if len(frames) == len(wanted) else None


def _decode_by_seeking(
    container,
    stream,
    table: FrameTable,
    wanted: list[int],
    frames: dict[int, np.ndarray],
    to_rgb: UprightRgb,
    convert_at: Callable,
) -> None:
    """Fill ``frames`` by decoding from the keyframe before each; stops where a seek does not land on a real keyframe.

    Some muxers mark every packet as a keyframe; decoding from one that is none gives garbage without an error.
    """
    position = None  # time of the last decoded frame
    decoded: Iterator[av.VideoFrame] = iter(())
    times = {table.times[index] for index in wanted}
    for index in wanted:
        time = table.times[index]
        before = bisect_right(table.keyframes, time) - 1
        keyframe = table.keyframes[before] if before >= 0 else table.times[0]
        sought = position is None or keyframe > position
        if sought:
            container.seek(keyframe, stream=stream, backward=True)
            decoded = _decode_sparsely(container, stream, times)
        for frame in decoded:
            if frame.pts is None:
                return
            position = frame.pts
            if sought and position >= keyframe:
                if position != keyframe or not frame.key_frame:
                    return
                sought = False
            if position == time:
                frames[index] = convert_at(index, to_rgb(frame))
            if position >= time:
                break


def _decode_sparsely(container: InputContainer, stream: av.VideoStream, times: set[int]) -> Iterator[av.VideoFrame]:
    """Frames from where the container stands, of which those may be left out that are not at ``times`` and that no other builds on."""
    context = stream.codec_context
    if context.name not in _DISPOSABLE_KNOWN:
        yield from container.decode(stream)
        return
    usual = context.skip_frame
    try:
        for packet in container.demux(stream):
            context.skip_frame = usual if packet.pts is None or packet.pts in times else "NONREF"
            yield from packet.decode()
    finally:  # a container of the caller's goes on as it was
        context.skip_frame = usual
