"""Clips made on the fly."""

import av
import numpy as np
import pytest

from videoalign.clips.video_file import write_video


def encode_clip(
    path,
    frames=24,
    *,
    codec="libx264",
    size=(64, 48),
    pixels="yuv420p",
    rate=24,
    options=None,
    muxer=None,
    times=None,
    title=None,
):
    """Encode a small moving pattern into the file ``path``, which is returned."""
    with av.open(str(path), "w", options=muxer or {}) as container:
        container.metadata.update({"title": title} if title else {})
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        stream.options = options or {}
        for index in range(frames):
            picture = np.zeros((size[1], size[0], 3), np.uint8)
            picture[..., index % 3] = index * 9 % 256
            picture[:, index * 4 % size[0] :][:, :8] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times:
                frame.pts = times[index]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def encode(tmp_path):
    """Encode a small moving pattern: ``encode("a.mp4", frames=24, rate=24, ...)`` returns the file's path."""
    return lambda name, *arguments, **options: encode_clip(tmp_path / name, *arguments, **options)


@pytest.fixture
def decode_all():
    """Every frame of a file in display order, [n, H, W, 3], by plain PyAV and nothing of ours."""

    def decode_all(path):
        with av.open(str(path)) as container:
            return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])

    return decode_all


@pytest.fixture
def noise_clip(tmp_path):
    """Write a clip of noise; returns its path and frames."""

    def write(name: str = "noise.mp4", size: int = 32, pixel_format: str = "yuv444p"):
        block = size // 32
        noise = np.random.default_rng(0).integers(0, 256, (5, size // block, size // block, 3)).astype(np.uint8)
        frames = noise.repeat(block, 1).repeat(block, 2)
        write_video(tmp_path / name, frames, 8, pixel_format)
        return tmp_path / name, frames

    return write
