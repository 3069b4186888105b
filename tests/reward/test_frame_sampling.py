"""How many frames, which, and how large: against independent arithmetic, and at the edges."""

import math
from fractions import Fraction

import pytest
import torch

from videoalign.errors import CheckpointError, ClipError
from videoalign.reward.frame_sampling import frame_count, frame_indices, resized_size
from videoalign.reward.settings import FrameSampling

OFFICIAL = FrameSampling()


@pytest.mark.parametrize("total", [2, 3, 4, 5, 6, 24, 47, 48, 100, 121, 720, 2000])
@pytest.mark.parametrize("fps", [0.5, 8, 10, 23.976, 24, 30, 60])
def test_the_number_of_frames_is_even_and_within_its_bounds(total, fps):
    count = frame_count(total, fps, OFFICIAL)
    assert count % 2 == 0
    assert 2 <= count <= min(768, total)
    exact = Fraction(total) / Fraction(fps) * 2
    if 4 <= exact <= min(768, total) - 1:
        assert abs(count - exact) <= 1
    else:
        assert count in (2, 4, min(768, total // 2 * 2), total // 2 * 2)


@pytest.mark.parametrize(
    ("total", "fps", "count"),
    [
        (60, 24, 4),
        (61, 24.4, 4),
        (84, 24, 8),
        (60, 8, 16),
        (52, 8, 12),
        (68, 8, 16),
        (5, 0.1, 4),
        (3, 30, 2),
        (10_000, 1, 768),
    ],
)
def test_halves_are_rounded_to_even_as_by_pythons_round(total, fps, count):
    assert frame_count(total, fps, OFFICIAL) == count


def test_a_clip_of_fewer_than_two_frames_is_refused():
    for total in (0, 1):
        with pytest.raises(ClipError, match="at least 2 to judge motion"):
            frame_count(total, 24, OFFICIAL)


def test_no_lower_bound_makes_a_clip_frameless():
    assert frame_count(100, 1000, FrameSampling(min_frames=0)) == 2
    assert frame_count(100, 1000, FrameSampling(min_frames=-5)) == 2


@pytest.mark.parametrize(("total", "count"), [(2, 2), (48, 4), (61, 4), (121, 10), (360, 60), (5, 4)])
def test_indices_spread_evenly_with_first_and_last_frame_in(total, count):
    indices = frame_indices(total, count)
    assert indices[0] == 0 and indices[-1] == total - 1 and len(indices) == count
    assert indices == sorted(set(indices))
    for position, index in enumerate(indices):
        assert abs(index - position * (total - 1) / (count - 1)) <= 0.5


def test_indices_do_not_depend_on_the_default_number_type():
    expected = [frame_indices(total, 16) for total in range(16, 300)]
    torch.set_default_dtype(torch.float64)
    try:
        assert [frame_indices(total, 16) for total in range(16, 300)] == expected
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("height", "width"), [(480, 832), (64, 64), (20, 20), (64, 1280), (640, 90), (1080, 1920), (448, 448), (1, 200)]
)
def test_resized_sides_are_multiples_of_28_within_the_pixel_bounds_and_of_the_same_shape(height, width):
    rows, columns = resized_size(height, width, OFFICIAL)
    assert rows % 28 == 0 and columns % 28 == 0
    assert min(rows, columns) >= 28
    if height / width not in (64 / 1280, 1 / 200):
        assert 128 * 28 * 28 * 0.9 <= rows * columns <= 448 * 448
        assert abs(math.log(rows / columns * width / height)) < math.log(1.25)


def test_an_extreme_shape_is_refused():
    with pytest.raises(ClipError, match="2001x10; aspect ratios above 200"):
        resized_size(10, 2001, OFFICIAL)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fps": 0}, {"fps": -2}, {"fps": math.nan}, {"fps": math.inf}, {"num_frames": 1}, {"num_frames": math.nan},
        {"num_frames": math.inf}, {"max_frames": 1}, {"max_pixels": 0}, {"max_pixels": math.inf}, {"max_pixels": math.nan},
    ],
    ids=str,
)  # fmt: skip
def test_sampling_that_cannot_be_is_refused_by_name(wrong):
    with pytest.raises(CheckpointError, match="sampling rate" if "fps" in wrong else next(iter(wrong))):
        FrameSampling(**wrong)
