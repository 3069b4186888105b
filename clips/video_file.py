"""Writes and reads the micro world's MP4 files."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np

CRF = 6  # H.264 quality at which the codec adds less than one level of error on average: no fault of its own
PIXEL_FORMATS = ("yuv444p", "yuv420p")


def write_video(path: str | Path, frames: np.ndarray, fps: float, pixel_format: str = "yuv444p") -> None:
    """Write an H.264 MP4; equal frames give equal bytes. The file appears under its name only when it is complete.

    Args:
        path: an .mp4 file in an existing folder; replaced if present.
        frames: [T, H, W, 3] uint8 RGB; H and W even.
        fps: frames a second.
        pixel_format: "yuv444p" keeps the colour's full resolution; "yuv420p" plays in every browser, but halves it,
            which on pictures this small is a slight blur, and removes colour from noise.

    Raises:
        ValueError: frames of another shape or type, an unsuitable size, fps that are not positive, or an unknown pixel
            format.
    """
    import av

    path = Path(path)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or len(frames) == 0:
        raise ValueError(
            f"{path.name}: frames have shape {frames.shape} and type {frames.dtype}; expected [T, H, W, 3] uint8 RGB."
        )
    if frames.shape[1] % 2 or frames.shape[2] % 2:
        raise ValueError(f"{path.name}: frames are {frames.shape[2]}x{frames.shape[1]}; H.264 needs even sides.")
    if not fps > 0:
        raise ValueError(f"{path.name}: fps is {fps}; expected a positive number of frames a second.")
    if pixel_format not in PIXEL_FORMATS:
        raise ValueError(f"unknown pixel format {pixel_format!r}; choose one of {list(PIXEL_FORMATS)}.")

    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with av.open(str(temporary), "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = pixel_format
            stream.thread_count = 1  # the number of threads would change the bytes
            stream.options = {"crf": str(CRF), "preset": "medium"}
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
            container.mux(stream.encode())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_video(path: str | Path) -> tuple[np.ndarray, float]:
    """Decode every frame of a file that write_video made: [T, H, W, 3] uint8 RGB, and frames a second."""
    import av

    from .video_decoding import check_fps

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return np.stack(frames), check_fps(stream.average_rate, str(path))
