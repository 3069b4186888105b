"""In-memory frames: what is accepted gives the same pixels in every form, what is wrong is refused clearly."""

import math

import numpy as np
import pytest
import torch

from videoalign.errors import ClipError
from videoalign.reward.clip import Frames, prepare_clip
from videoalign.reward.settings import FrameSampling


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (9, 40, 56, 3), dtype=np.uint8)


def prepare(pixels, fps=8.0, **options):
    return prepare_clip(Frames(pixels, fps), FrameSampling(), **options)


@pytest.mark.parametrize(
    "form",
    [
        torch.from_numpy,
        lambda x: x.astype(np.float32) / 255,
        lambda x: x.astype(np.float64) / 255,
        lambda x: torch.from_numpy(x) / 255,
        lambda x: torch.from_numpy(x).double() / 255,
        lambda x: torch.from_numpy(x.astype(np.float32) / 255).half(),
        lambda x: np.concatenate([x, np.full((*x.shape[:3], 1), 7, np.uint8)], axis=3),
        lambda x: np.asfortranarray(x),
        lambda x: np.ascontiguousarray(x[:, ::-1, :, ::-1])[:, ::-1, :, ::-1],
        lambda x: torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2))).permute(0, 2, 3, 1),
    ],
    ids=[
        "torch uint8",
        "float32",
        "float64",
        "torch float32",
        "torch float64",
        "half",
        "alpha",
        "column major",
        "negative strides",
        "channels first in memory",
    ],
)
def test_every_form_of_the_same_frames_gives_bit_equal_patches(pixels, form):
    assert torch.equal(prepare(form(pixels)).patches, prepare(pixels).patches)


def test_bfloat16_frames_are_read_as_the_grey_levels_nearest_to_them(pixels):
    coarse = (torch.from_numpy(pixels) / 255).bfloat16()
    nearest = (coarse.float() * 255).round().to(torch.uint8)
    assert torch.equal(prepare(coarse).patches, prepare(nearest).patches)


def test_overshoot_below_one_grey_level_is_clamped(pixels):
    frames = torch.from_numpy(pixels) / 255
    over = frames.clone()
    over[frames == 1] += 0.9 / 255
    over[frames == 0] -= 0.9 / 255
    assert torch.equal(prepare(over).patches, prepare(frames).patches)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda x: torch.from_numpy(x).float(), r"found .* to 255.*pass 0\.\.255 values as uint8"),
        (lambda x: torch.from_numpy(x) / 127.5 - 1, r"found -1 to 1\..*bring them into 0\.\.1 first"),
        (lambda x: torch.full(x.shape, math.nan), "NaN or infinite"),
        (lambda x: torch.full(x.shape, math.inf), "NaN or infinite"),
        (lambda x: np.where(np.arange(3) == 0, np.nan, x / 255), "NaN or infinite"),
        (lambda x: x.astype(np.int64), r"uint8 .* or float .*; got .*int64"),
        (lambda x: x.astype(np.uint16), r"got .*uint16"),
        (lambda x: x > 3, r"got .*bool"),
        (lambda x: torch.from_numpy(x).to(torch.complex64), r"got .*complex64"),
        (lambda x: x[0], r"\[T, H, W, 3\].*got shape \[40, 56, 3\]"),
        (lambda x: x[..., 0], r"got shape \[9, 40, 56\]"),
        (lambda x: x[..., :1], r"got shape \[9, 40, 56, 1\]"),
        (lambda x: x.transpose(0, 3, 1, 2), r"channels last\); got shape \[9, 3, 40, 56\]"),
        (lambda x: x[:0], r"hold no pixels"),
        (lambda x: x[:, :0], r"hold no pixels"),
        (lambda x: x[:1], r"1 frame\(s\)"),
        (lambda x: x.tolist(), r"torch or numpy array; got list"),
        (lambda x: None, r"torch or numpy array; got NoneType"),
        (lambda x: np.zeros((4, 2, 500, 3), np.uint8), r"500x2; aspect ratios above 200"),
    ],
)
def test_wrong_frames_are_refused_with_what_was_found_and_what_to_do(pixels, wrong, hint):
    with pytest.raises(ClipError, match=hint):
        prepare(wrong(pixels))


@pytest.mark.parametrize("fps", [0, -1, 0.05, 1001, math.nan, math.inf, None, "8 fps"])
def test_wrong_frame_rates_are_refused(pixels, fps):
    with pytest.raises(ClipError, match=r"give one between 0\.1 and 1000 frames per second"):
        prepare(pixels, fps)


def test_the_error_calls_the_clip_by_its_name(pixels):
    with pytest.raises(ClipError, match=r"^sample 7: frames must be"):
        prepare_clip(Frames(pixels[0], 8.0, "sample 7"), FrameSampling())


def test_a_frame_rate_argument_overrides_that_of_the_frames(pixels):
    assert prepare(pixels, fps=8.0).fps == 8.0
    slow = prepare_clip(Frames(pixels, 8.0), FrameSampling(), fps=2.0)
    assert (slow.fps, slow.total_frames, len(slow.indices)) == (2.0, 9, 8)


def test_only_sampled_frames_are_looked_at(pixels):
    frames = torch.from_numpy(pixels) / 255
    indices = prepare(frames).indices
    frames[[index for index in range(9) if index not in indices]] = math.nan
    assert torch.equal(prepare(frames).patches, prepare(pixels).patches)


def test_the_callers_frames_are_left_as_they_were(pixels):
    frames = torch.from_numpy(pixels) / 255 * 1.002
    before = frames.clone()
    prepare(frames)
    assert torch.equal(frames, before)


def test_a_prepared_clip_is_used_as_it_is(pixels):
    clip = prepare(pixels)
    assert prepare_clip(clip, FrameSampling(fps=8.0)) is clip
