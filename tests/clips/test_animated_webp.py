"""Animated WebP, as ComfyUI writes it, is read frame by frame."""

import io

import numpy as np
import pytest
from PIL import Image

from videoalign.clips.video_decoding import decode_frames
from videoalign.errors import ClipError


def every(total, fps):
    return list(range(total))


def write(path, pictures, **options):
    films = [Image.fromarray(picture) for picture in pictures]
    films[0].save(path, format="WEBP", save_all=True, append_images=films[1:], lossless=True, **options)


def pictures(count=6, channels=3):
    noise = np.random.default_rng(0).integers(0, 256, (count, 12, 16, channels)).astype(np.uint8)
    return noise.repeat(4, 1).repeat(4, 2)


def test_its_frames_and_rate_are_those_that_were_written(tmp_path):
    path, frames = tmp_path / "anim.webp", pictures()
    write(path, frames, duration=125)
    decoded = decode_frames(path, lambda total, fps: [0, 3, 5])
    assert (decoded.total_frames, decoded.fps) == (6, 8.0)
    assert np.array_equal(decoded.frames, frames[[0, 3, 5]])
    with open(path, "rb") as file:
        assert np.array_equal(decode_frames(file, every).frames, frames)


def test_uneven_durations_give_the_rate_of_the_times(tmp_path):
    path = tmp_path / "anim.webp"
    write(path, pictures(4), duration=[100, 300, 200, 900])
    assert decode_frames(path, every).fps == pytest.approx(3 / 0.6)


def test_transparent_parts_are_black(tmp_path):
    path, frames = tmp_path / "anim.webp", pictures(3, 4)
    frames[..., 3] = 255
    frames[:, :24, :, 3] = 0
    write(path, frames, duration=100, exact=True)
    shown = decode_frames(path, every).frames
    assert (shown[:, :24] == 0).all()
    assert np.array_equal(shown[:, 24:], frames[:, 24:, :, :3])


def test_a_damaged_one_is_refused(tmp_path):
    path = tmp_path / "anim.webp"
    write(path, pictures(), duration=100)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(ClipError, match="damaged or incomplete"):
        decode_frames(path, every)
    with pytest.raises(ClipError):
        decode_frames(io.BytesIO(b"RIFF\0\0\0\0WEBPjunk"), every)
