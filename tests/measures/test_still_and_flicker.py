"""Flicker and standstill, recomputed by plain numpy and on planted repeats."""

from pathlib import Path

import numpy as np
import pytest

from videoalign.clips.video_file import Encoding, encode_frames, read_video
from videoalign.measures.clip_measures import clip_marks
from videoalign.measures.flicker import mean_difference, temporal_flickering
from videoalign.measures.still_frames import (
    StillRun,
    duplicated_share,
    freeze_at_start,
    longest_freeze,
    still_runs,
    still_share,
)

pytest.importorskip("cv2", reason="the measurements need OpenCV: pip install '.[measure]'")


def test_flicker_is_the_published_formula_on_full_size_frames(traced):
    frames = np.random.default_rng(0).integers(0, 256, (6, 37, 53, 3)).astype(np.uint8)
    published = np.mean([np.abs(a.astype(float) - b).mean() for a, b in zip(frames[1:], frames, strict=False)])
    # Sums of whole numbers below 2^53 are exact in both; a division each, and the mean of five.
    assert clip_marks(traced(frames))["flickering"] == pytest.approx((255 - published) / 255, rel=1e-14)
    large = np.random.default_rng(1).integers(0, 256, (2, 700, 900, 3)).astype(np.uint8)  # above all working sizes
    assert mean_difference(*large) == np.abs(large[0].astype(np.int64) - large[1]).sum() / large[0].size


def test_flicker_is_one_for_a_clip_that_stands_still_and_zero_for_black_and_white_in_turn():
    assert temporal_flickering([0.0, 0.0]) == 1.0
    assert temporal_flickering([255.0, 255.0]) == 0.0


def test_planted_repeats_are_found_with_their_lengths(window, traced):
    order = [0, 0, 0, 1, 2, 2, 3, 4, 4, 4, 4, 4, 5]
    trace = traced([window(9 * number) for number in order], fps=4.0)
    assert trace.still_runs == [StillRun(0, 2), StillRun(4, 1), StillRun(7, 4)]
    marks = clip_marks(trace)
    assert marks["still"] == 7 / 12 and marks["duplicated"] == 1 / 12
    assert marks["freeze"] == 1.0 and marks["late_start"] == 0.5  # 4 and 2 frames at 4 a second


def test_every_frame_twice_is_half_duplicated_and_a_still_clip_is_not_duplicated():
    twice = [9.0, 0.0] * 6 + [9.0]
    assert duplicated_share(twice) == pytest.approx(6 / 13) and still_share(twice) == pytest.approx(6 / 13)
    still = [0.0] * 9
    assert (duplicated_share(still), still_share(still), longest_freeze(still, 3.0), freeze_at_start(still, 3.0)) == (
        0,
        1,
        3,
        3,
    )
    moving = [1.0] * 9
    assert (still_share(moving), longest_freeze(moving, 8.0), freeze_at_start(moving, 8.0)) == (0, 0, 0)
    assert still_runs([9.0, 0.0]) == [StillRun(1, 1)] and duplicated_share([9.0, 0.0]) == 0


def test_the_faintest_noise_is_no_standstill(window, traced):
    rng = np.random.default_rng(0)
    noisy = [
        np.clip(window().astype(int) + (rng.random((256, 320, 3)) < 0.1), 0, 255).astype(np.uint8) for _ in range(4)
    ]
    assert traced(noisy).still_runs == []


@pytest.mark.parametrize("crf", [6, 23])
def test_what_h264_makes_of_a_repeated_frame_is_still(window, traced, tmp_path, crf):
    frames = [window(9 * number) for number in (0, 1, 1, 1, 1, 2, 3, 3, 4, 5)]
    encode_frames(tmp_path / "a.mp4", frames, (256, 320), 8, "yuv420p", Encoding(crf=crf))
    decoded, fps = read_video(tmp_path / "a.mp4")
    assert traced(decoded, fps).still_runs == [StillRun(1, 3), StillRun(6, 1)]


def test_the_clip_with_a_published_score_has_it():
    """FastVideo's ltx2.mp4; the tolerance is that of another decoder's rounding: at most a level in a hundredth of the pixels."""
    from videoalign.judges import open_judge
    from videoalign.reward.scoring_stream import score_clips

    shared = Path(__file__).resolve().parents[3] / "shared" / "fixtures"
    path = next(iter(shared.rglob("ltx2.mp4")), None)
    if path is None:
        pytest.skip("FastVideo's ltx2.mp4 is not in shared/fixtures")
    [marks] = score_clips(open_judge("measures"), [path], [None])
    assert marks.marks["flickering"] == pytest.approx(0.9794517, abs=1e-4)
    assert marks.marks["dynamic"] == 1.0
