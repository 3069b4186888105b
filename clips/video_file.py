"""H.264 files: the one writer, and reading a whole clip back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..files.atomic_file import replacing

PIXEL_FORMATS = ("yuv444p", "yuv420p")


@dataclass(frozen=True)
class Encoding:
    """How a clip is encoded.

    Attributes:
        crf: H.264's quality; at 6 the codec adds less than one level of error on average, which counts as no fault.
        preset: x264's name for how long it may take.
        threads: 1 gives equal bytes for equal frames; 0 leaves the number to the codec.
    """

    crf: int = 6
    preset: str = "medium"
    threads: int = 1


def write_video(path: str | Path, frames: np.ndarray, fps: float, pixel_format: str = "yuv444p") -> None:
    """Write an H.264 MP4; equal frames give equal bytes. The file appears under its name only when it is complete.

    Args:
        path: an .mp4 file; replaced if present.
        frames: [T, H, W, 3] uint8 RGB; H and W even.
        fps: frames a second.
        pixel_format: "yuv444p" keeps the colour's full resolution; "yuv420p" plays in every browser, but halves it,
            which on pictures this small is a slight blur, and removes colour from noise.

    Raises:
        ValueError: frames of another shape or type, an unsuitable size, fps that are not positive, or an unknown pixel
            format.
    """
    path = Path(path)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or len(frames) == 0:
        raise ValueError(
            f"{path.name}: frames have shape {frames.shape} and type {frames.dtype}; expected [T, H, W, 3] uint8 RGB."
        )
    encode_frames(path, frames, frames.shape[1:3], fps, pixel_format)


def encode_frames(
    path: Path,
    frames: Iterable[np.ndarray],
    size: tuple[int, int],
    fps: float,
    pixel_format: str,
    encoding: Encoding | None = None,
) -> None:
    """As ``write_video``, from frames that come one after another.

    Args:
        frames: [H, W, 3] uint8 RGB each.
        size: (H, W) of all of them, both even.
    """
    import av

    encoding = encoding or Encoding()
    height, width = size
    if height % 2 or width % 2:
        raise ValueError(f"{path.name}: frames are {width}x{height}; H.264 needs even sides.")
    if not fps > 0:
        raise ValueError(f"{path.name}: fps is {fps}; expected a positive number of frames a second.")
    if pixel_format not in PIXEL_FORMATS:
        raise ValueError(f"unknown pixel format {pixel_format!r}; choose one of {list(PIXEL_FORMATS)}.")
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width, stream.pix_fmt = height, width, pixel_format
        stream.thread_count = encoding.threads
        # x264's macroblock tree gives other files from equal frames, depending on where they lie in memory.
        stream.options = {"crf": str(encoding.crf), "preset": encoding.preset, "x264-params": "mbtree=0"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())


def read_video(path: str | Path) -> tuple[np.ndarray, float]:
    """Decode every frame of a file that write_video made: [T, H, W, 3] uint8 RGB, and frames a second."""
    from .opening import open_video
    from .video_decoding import check_fps

    with open_video(path) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return np.stack(frames), check_fps(stream.average_rate, str(path))
