"""A clip is read once for all who look at it."""

import numpy as np
import pytest
import torch

from videoalign.clips import frames as reading
from videoalign.clips.frames import Frames, View, read_for_several, read_frames
from videoalign.clips.video_decoding import decode_frames

SECOND_HALF = View(lambda total, fps: list(range(total // 2, total)))
ENDS_SMALL = View(lambda total, fps: [0, total - 1], lambda frames: frames[:, :, ::2, ::2])


@pytest.fixture
def path(clips):
    return clips / "s02_8fps_16f_320x240.mp4"


def test_two_views_are_what_each_alone_would_be_and_the_file_is_decoded_once(path, monkeypatch):
    alone = [read_frames(path, view) for view in (SECOND_HALF, ENDS_SMALL)]
    calls = []
    monkeypatch.setattr(reading, "decode_frames", lambda *a, **k: calls.append(a) or decode_frames(*a, **k))
    together = read_for_several(path, [SECOND_HALF, ENDS_SMALL])
    assert len(calls) == 1
    for one, other in zip(together, alone, strict=True):
        assert one.indices == other.indices and torch.equal(one.pixels, other.pixels)
    assert together[1].pixels.shape == (2, 3, 120, 160)


def test_frames_are_those_of_the_decoder(path):
    read = read_frames(path, SECOND_HALF)
    assert np.array_equal(read.as_bytes(), decode_frames(path, SECOND_HALF.choose).frames)
    assert (read.total_frames, read.fps) == (16, 8.0)


def test_frames_in_memory_are_seen_alike_as_bytes_and_as_floats(path):
    whole = decode_frames(path, lambda total, fps: list(range(total))).frames
    as_bytes, as_floats = (
        read_for_several(Frames(pixels, 8.0), [SECOND_HALF, ENDS_SMALL]) for pixels in (whole, whole / np.float32(255))
    )
    for one, other in zip(as_bytes, as_floats, strict=True):
        assert torch.equal(one.pixels.float(), other.pixels)
