"""All levels of a byte survive every form of pixels."""

import numpy as np
import pytest
import torch

from videoalign.clips.pixels import (
    as_frames,
    as_video,
    bytes_to_signed,
    bytes_to_unit,
    rgb_bytes,
    signed_to_bytes,
    unit_to_bytes,
)
from videoalign.errors import ClipError

LEVELS = torch.arange(256, dtype=torch.uint8)


def test_every_level_comes_back_from_each_form():
    assert torch.equal(unit_to_bytes(bytes_to_unit(LEVELS)), LEVELS)
    assert torch.equal(signed_to_bytes(bytes_to_signed(LEVELS)), LEVELS)
    assert bytes_to_unit(LEVELS)[[0, 255]].tolist() == [0, 1] and bytes_to_signed(LEVELS)[[0, 255]].tolist() == [-1, 1]


def test_what_lies_outside_is_clamped():
    assert unit_to_bytes(torch.tensor([-0.5, 1.5])).tolist() == [0, 255]
    assert signed_to_bytes(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]


def test_frames_and_video_are_each_others_inverse_with_any_axes_before():
    frames = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 6, 3), dtype=np.uint8)
    video = as_video(frames)
    assert video.shape == (2, 3, 5, 4, 6)
    assert np.array_equal(as_frames(video), frames) and as_frames(video).flags.c_contiguous


def test_rgb_bytes_drops_alpha_and_takes_either_form():
    frames = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 4), dtype=np.uint8)
    assert np.array_equal(rgb_bytes(frames), frames[..., :3])
    assert np.array_equal(rgb_bytes(torch.from_numpy(frames).float() / 255), frames[..., :3])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_clip_that_is_not_finite_is_no_black_clip(value):
    video = torch.zeros(3, 2, 4, 4)
    video[1, 1, 2, 3] = value
    with pytest.raises(ClipError, match=r"not finite.*--dtype float32"):
        as_frames(video)
