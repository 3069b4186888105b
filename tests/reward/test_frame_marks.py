"""Judges of pictures on frames: which frames, and the best of them."""

import pytest

from videoalign.reward.frame_marks import best_mean, spread_frames
from videoalign.reward.settings import FrameSampling


def test_the_best_thirty_percent_are_whole_frames_and_at_least_one():
    assert best_mean([1, 5, 3, 2, 4, 9, 8, 7, 6, 10]) == 9  # 10, 9, 8
    assert best_mean([1, 2, 3, 4]) == 3.5  # 1.2 frames are two
    assert best_mean([7]) == 7


@pytest.mark.parametrize(
    ("total", "fps", "sampling", "count"),
    [
        (1, 8, {}, 1),
        (3, 8, {}, 3),
        (81, 16, {}, 10),
        (9, 16, {}, 4),
        (9999, 16, {}, 32),
        (81, 16, {"num_frames": 7}, 7),
    ],
)
def test_frames_are_spread_from_the_first_to_the_last(total, fps, sampling, count):
    frames = spread_frames(total, fps, FrameSampling(min_frames=4, max_frames=32, **sampling))
    assert len(frames) == count and frames[0] == 0 and frames[-1] == total - 1
