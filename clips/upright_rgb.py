"""A decoded frame as the picture that a player shows: RGB by the stream's own colour matrix, the right way up.

Transparent parts are shown on black (the colour under them is no picture). Pixels that are not square stay as they are stored,
and high dynamic range (PQ, HLG) is not mapped down: `notes` says so.
"""

from __future__ import annotations

import struct
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from ..errors import ClipError
from .frame_table import AGAIN

_UNSPECIFIED_COLORSPACE = 2
_ITU601 = 5
# H.273's numbers of matrices that swscale has no tables for.
_UNSUPPORTED_MATRICES = {
    8: "YCgCo", 10: "BT.2020 constant luminance", 11: "SMPTE 2085", 12: "chromaticity-derived", 13: "chromaticity-derived",
    14: "ICtCp", 15: "IPT-C2", 16: "YCgCo-Re", 17: "YCgCo-Ro",
}  # fmt: skip
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}


class UprightRgb:
    """Turns frames of one clip into uint8 RGB [H, W, 3].

    One reformatter serves the whole clip: a new one for each frame costs more than converting a small frame.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._reformatter = VideoReformatter()
        self._size: tuple[int, int] | None = None

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """The picture of a frame.

        Raises:
            ClipError: the frame is damaged, of another size than the one before, or in colours that cannot be converted.
        """
        if frame.is_corrupt:
            raise ClipError(f"{self._name} has a damaged frame where one is needed. {AGAIN}")
        if self._size not in (None, (frame.width, frame.height)):
            raise ClipError(f"{self._name} changes its frame size midway; re-encode it at one size.")
        self._size = frame.width, frame.height
        return upright(self._rgb(frame), _display_matrix(frame))

    def _rgb(self, frame: av.VideoFrame) -> np.ndarray:
        matrix = int(frame.colorspace)
        if matrix in _UNSUPPORTED_MATRICES and not frame.format.is_rgb:
            raise ClipError(
                f"{self._name} has the colour matrix {_UNSUPPORTED_MATRICES[matrix]}, which is not supported; re-encode it as BT.709."
            )
        options = {}
        if matrix != _UNSPECIFIED_COLORSPACE:
            # Naming both matrices makes PyAV before 17 use the stream's own; newer versions give the same pixels.
            options = {"src_colorspace": matrix, "dst_colorspace": _ITU601}
        if not has_alpha(frame.format.name):
            return self._reformatter.reformat(frame, format="rgb24", **options).to_ndarray()
        picture = self._reformatter.reformat(frame, format="rgba", **options).to_ndarray()
        return on_black(picture)


def has_alpha(pixel_format: str) -> bool:
    """True for FFmpeg's pixel formats with a share of transparency."""
    return pixel_format.startswith(("rgba", "bgra", "argb", "abgr", "yuva", "gbrap", "ya", "ayuv", "vuya", "pal8"))


def on_black(picture: np.ndarray) -> np.ndarray:
    """uint8 RGBA [..., 4] shown on black: RGB [..., 3]."""
    alpha = picture[..., 3:].astype(np.uint16)
    if alpha.min() == 255:
        return np.ascontiguousarray(picture[..., :3])
    return ((picture[..., :3] * alpha + 127) // 255).astype(np.uint8)


def upright(picture: np.ndarray, matrix: tuple[int, ...] | None) -> np.ndarray:
    """Turn and mirror a stored picture [H, W, C] as a display matrix says, to the nearest right angle.

    Args:
        matrix: the nine numbers (a, b, u, c, d, v, x, y, w) of an MP4 track header, by which the stored point (p, q) is shown at
            (a p + c q, b p + d q), y downwards; None, or one without a direction (all zero), leaves the picture as it is.
    """
    if matrix is None:
        return picture
    a, b, _, c, d = matrix[:5]
    if not (a or d or b or c):
        return picture
    if abs(b) + abs(c) > abs(a) + abs(d):
        picture, a, d = picture.transpose(1, 0, 2), c, b
    if a < 0:
        picture = picture[:, ::-1]
    if d < 0:
        picture = picture[::-1]
    return picture


def notes(stream) -> tuple[str, ...]:
    """What a reader of the scores should know of how the clip is shown; nothing for an ordinary one. No note contains "; "."""
    remarks = []
    aspect = stream.sample_aspect_ratio
    if aspect and aspect != 1:
        remarks.append(
            f"its pixels are {aspect.numerator}:{aspect.denominator}, not square: it is seen as stored, as the official code does"
        )
    transfer = _HDR_TRANSFERS.get(getattr(stream.codec_context, "color_trc", 0))
    if transfer:
        remarks.append(
            f"it has high dynamic range ({transfer}), which is not mapped to an ordinary screen: its colours look pale"
        )
    return tuple(remarks)


def _display_matrix(frame: av.VideoFrame) -> tuple[int, ...] | None:
    kept: Any = frame.side_data  # PyAV's own annotation has its items as texts
    for data in kept:
        if data.type.name == "DISPLAYMATRIX":
            return struct.unpack("=9i", bytes(data)[:36])  # FFmpeg keeps it in the machine's byte order
    return None
