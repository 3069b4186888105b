"""Open a clip for reading, and nothing else: no network, no playlist, no file that the clip itself names.

FFmpeg takes a name for a URL (``clip:1.mp4`` has the scheme ``clip``) and some of its formats (HLS, concat, DASH, SDP and others)
open further files that their text names. Here a path is always a file, and only formats that hold their own pictures are read.
"""

from __future__ import annotations

import io
import re
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import av
from av.container import InputContainer

from ..errors import ClipError

# FFmpeg's names of containers and raw streams that are whole in themselves. Single pictures (png_pipe and the like) are
# no clips; animated WebP is read by Pillow (animated_webp).
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h261,h263,h264,hevc,vvc,evc,av1,obu,ivf,flv,live_flv,kux,"
    "asf,asf_o,ogg,gif,apng,mxf,gxf,nut,yuv4mpegpipe,mjpeg,mjpeg_2000,dv,vc1,vc1test,dirac,dnxhd,rm,ivr,wtv,nuv,cavsvideo,avs2,avs3,"
    "smk,bink,roq,avif,apv,ipu"
)
_OPTIONS: dict[str, Any] = {
    "metadata_errors": "replace",  # a title in another encoding must not keep a clip from being read
}
# Of FFmpeg itself. A file object that we hand over needs no protocol at all.
_LIMITS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def open_video(source: str | Path | IO[bytes]) -> InputContainer:
    """Open a file by its path, or a seekable binary file object from where it stands.

    Raises:
        FFmpegError, OSError: as PyAV does; a playlist or another format that is not allowed is one of them.
    """
    target = f"file:{source}" if isinstance(source, (str, Path)) else source
    return av.open(target, options=_LIMITS, **_OPTIONS)


def opener(source: Any, name: str) -> Callable[[], AbstractContextManager[InputContainer]]:
    """A function that opens the clip at its first frame, as often as it is called.

    Args:
        source: a path, a binary file object (read from its beginning, and put back where it stood; what cannot be rewound, a
            pipe say, is read into memory), or an open PyAV input container, which is left open at its first frame.
        name: what to call the clip in error messages.

    Raises:
        ClipError: the path is no file, or the object is open as text.
    """
    if isinstance(source, InputContainer):
        return partial(_rewound, source)
    if isinstance(source, (str, Path)):
        path = Path(source)
        if _is_file(path, name):
            return partial(open_video, path)
        source = open(path, "rb")  # noqa: SIM115 - a named pipe: two passes need its content in memory, read below
    if isinstance(source, io.TextIOBase):
        raise ClipError(f"{name} is open as text; open it in binary mode ('rb').")
    if not (hasattr(source, "seekable") and source.seekable()):
        source = io.BytesIO(source.read())
    return partial(_opened_file, source)


def _is_file(path: Path, name: str) -> bool:
    """True for a file with content, False for a pipe.

    Raises:
        ClipError: it is something else, or not there.
    """
    try:
        state = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if _URL.match(name):
            raise ClipError(f"{name} is an address on the network; only files are read. Download it first.") from None
        raise ClipError(
            f"{name} does not exist. Check the path; a relative one starts at the manifest or at the current folder."
        ) from None
    except ValueError as error:  # a NUL in the name
        raise ClipError(f"{name!r} does not exist; it is no name for a file ({error}).") from None
    if stat.S_ISDIR(state.st_mode):
        raise ClipError(f"{name} is a folder, not a video file.")
    if stat.S_ISFIFO(state.st_mode):
        return False
    if not stat.S_ISREG(state.st_mode):
        raise ClipError(f"{name} is a device or a socket, not a video file.")
    if state.st_size == 0:
        raise ClipError(f"{name} is empty (0 bytes). Copy or render it again.")
    return True


@contextmanager
def _opened_file(file: IO[bytes]):
    position = file.tell()
    file.seek(0)
    try:
        with open_video(file) as container:
            yield container
    finally:
        file.seek(position)


@contextmanager
def _rewound(container: InputContainer):
    stream = container.streams.best("video")
    first = 0.0
    if stream is not None and stream.start_time is not None and stream.time_base is not None:
        first = float(stream.start_time * stream.time_base)
    start = min(0, int(first * av.time_base // 1))
    try:
        container.seek(start)
    except AssertionError:
        raise ClipError(f"{container.name} is closed; pass the container before closing it, or its path.") from None
    yield container
    container.seek(start)  # also revives the decoder, which the end of the stream has drained
