"""Flow, dynamic degree, camera and shake on clips whose motion is planted, and VBench's rule written a second time."""

import itertools

import numpy as np
import pytest

from videoalign.measures.camera import camera_velocity, shake
from videoalign.measures.clip_measures import clip_details, clip_marks
from videoalign.measures.dynamic_degree import THRESHOLD, degree, is_dynamic, sampled_indices
from videoalign.measures.flow import dense_flow, mean_of_fastest, motion

cv2 = pytest.importorskip("cv2", reason="the measurements need OpenCV: pip install '.[measure]'")

# DIS flow is found at half of the working size, by patches that are matched to a tenth of a pixel there or better.
PIXELS = 0.2


def vbench_speed(flow):
    """Mean of the fastest 5 % as VBench writes it, of a flow in pixels."""
    speed = np.sqrt(flow[..., 0] ** 2 + flow[..., 1] ** 2)
    count = int(speed.shape[0] * speed.shape[1] * 0.05)
    return float(np.mean(np.abs(np.sort(-speed.flatten()))[:count]))


def vbench_decision(speeds, frames, shorter):
    """VBench's dynamic degree of a clip: its loop over the pairs, by its two parameters."""
    threshold, needed = 6.0 * (shorter / 256.0), round(4 * (frames / 16.0))
    count = 0
    for speed in speeds:
        if speed > threshold:
            count += 1
        if count >= needed:
            return True
    return False


@pytest.mark.parametrize(("x", "y"), [(3, 0), (0, -4), (5, 2), (-11, 7)])
def test_a_moved_picture_has_its_vector_as_the_camera_and_no_motion_besides(window, x, y):
    found = motion(dense_flow(*(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (window(), window(-x, -y)))))
    assert np.allclose(np.multiply(found.camera, 256), (x, y), rtol=0, atol=PIXELS)
    # At the border, which the picture leaves, the flow is a guess: at most a frame of it as wide as the step.
    border = 1 - (256 - 2 * abs(y)) * (320 - 2 * abs(x)) / (256 * 320)
    if border < 0.05:
        assert found.fastest * 256 == pytest.approx(np.hypot(x, y), abs=2)


def test_the_fastest_twentieth_is_the_published_formula(window):
    for step in (1, 4, 9):
        pictures = [cv2.cvtColor(window(step * number), cv2.COLOR_RGB2GRAY) for number in (0, 1)]
        flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*pictures, None)
        # Two float32 square roots and a division by 256, which is exact.
        assert mean_of_fastest(dense_flow(*pictures)) * 256 == pytest.approx(vbench_speed(flow), rel=1e-6)


def test_vbenchs_decision_is_the_published_one_on_clips_of_many_speeds(window, traced):
    decisions = set()
    for moving, step in ((0, 0), (1, 9), (2, 9), (3, 9), (9, 3), (9, 5), (9, 8)):
        frames = [window(step * min(number, moving)) for number in range(10)]
        trace = traced(frames)
        greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
        dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        speeds = [vbench_speed(dis.calc(*pair, None)) for pair in itertools.pairwise(greys)]
        assert clip_marks(trace)["dynamic"] == vbench_decision(speeds, 10, 256), (moving, step)
        decisions.add(clip_marks(trace)["dynamic"])
    assert decisions == {0.0, 1.0}


def test_the_number_of_moving_pairs_that_is_needed_is_the_published_one():
    rng = np.random.default_rng(0)
    for frames in range(3, 60):
        for _ in range(20):
            speeds = rng.uniform(0, 12, frames - 1)
            assert is_dynamic(speeds / 256) == vbench_decision(speeds, frames, 256)
    # Of two frames VBench needs none; we need the one that there is.
    assert vbench_decision([0.0], 2, 256) and not is_dynamic([0.0]) and is_dynamic([0.1])


@pytest.mark.parametrize(
    ("total", "fps", "expected"),
    [(7, 24, [0, 3, 6]), (9, 30, [0, 4, 8]), (5, 8, [0, 1, 2, 3, 4]), (4, 3, [0, 1, 2, 3]), (3, 24, [0, 2]), (2, 60, [0, 1])],
)  # fmt: skip
def test_motion_is_sampled_at_eight_frames_a_second(total, fps, expected):
    assert sampled_indices(total, fps) == expected


def test_the_graded_degree_counts_each_pair_to_its_threshold():
    assert degree([0, THRESHOLD / 2, THRESHOLD, 5 * THRESHOLD]) == pytest.approx((0 + 0.5 + 1 + 1) / 4)


def test_a_pan_is_camera_alone_and_an_object_is_not(window, traced):
    pan = traced([window(8 * number) for number in range(8)])
    still, moving = window(), []
    for number in range(8):
        moving.append(still.copy())
        moving[-1][60:180, 20 + 12 * number :][:, :110] = window(150, 100)[60:180, :110]
    thing = traced(moving)
    pan_marks, thing_marks = clip_marks(pan), clip_marks(thing)
    assert pan_marks["motion"] == thing_marks["motion"] == 1
    # A tenth of the picture, the border, is left of a pan; the object is a seventh of the picture, and stays.
    assert thing_marks["object_motion"] == pytest.approx(1, abs=0.02)
    assert clip_details(pan)["camera_x"] == pytest.approx(-8 * 8 / 256, abs=PIXELS * 8 / 256)
    assert abs(clip_details(thing)["camera_x"]) < PIXELS * 8 / 256


def test_camera_and_shake_are_mean_and_spread_of_the_planted_vectors(window, traced):
    steps = np.array([(0, 0), (6, 2), (-4, 0), (5, -3), (-6, 1), (3, 3), (-2, -4)])
    places = np.cumsum(steps, axis=0)
    trace = traced([window(-x, -y) for x, y in places])
    expected = steps[1:] * 8 / 256  # shorter sides a second, at 8 frames a second
    details, marks = clip_details(trace), clip_marks(trace)
    assert np.allclose((details["camera_x"], details["camera_y"]), expected.mean(0), rtol=0, atol=PIXELS * 8 / 256)
    spread = np.sqrt(((expected - expected.mean(0)) ** 2).sum(1).mean())
    assert marks["shake"] == pytest.approx(spread, abs=2**0.5 * PIXELS * 8 / 256)
    steady = traced([window(-3 * number) for number in range(7)])
    assert clip_marks(steady)["shake"] < 2**0.5 * PIXELS * 8 / 256


def test_camera_and_shake_are_the_same_in_any_size_and_at_any_rate():
    medians = [(0.01, 0.0), (0.03, 0.02), (-0.01, 0.01)]
    assert camera_velocity(medians, 8) == pytest.approx((0.08, 0.08))
    assert shake(medians, 16) == pytest.approx(2 * shake(medians, 8))
    assert shake([(0.5, -0.25)] * 5, 8) == 0


@pytest.mark.parametrize("size", [(2, 2), (15, 300), (16, 16), (48, 80), (300, 15)])
def test_small_and_narrow_pictures_have_a_flow_too(size):
    rng = np.random.default_rng(1)
    one, other = (rng.integers(0, 256, size).astype(np.uint8) for _ in range(2))
    assert np.isfinite(dense_flow(one, other)).all()
    assert mean_of_fastest(dense_flow(one, one)) == 0


def test_the_flow_does_not_depend_on_the_number_of_threads(window):
    pictures = [cv2.cvtColor(window(step), cv2.COLOR_RGB2GRAY) for step in (0, 5)]
    before, flows = cv2.getNumThreads(), []
    try:
        for threads in (1, 2, 7):
            cv2.setNumThreads(threads)
            flows.append(dense_flow(*pictures))
    finally:
        cv2.setNumThreads(before)
    assert np.array_equal(flows[0], flows[1]) and np.array_equal(flows[0], flows[2])


def test_a_cut_is_no_motion_of_the_camera_and_no_shake(window, traced, texture):
    other = np.ascontiguousarray(255 - texture[:256, :320] // 3)
    pan = [window(3 * number) for number in range(6)]
    cut = clip_marks(traced([*pan, *(np.roll(other, 3 * number, 1) for number in range(6))]))
    assert (
        cut["cuts"] == 1 and cut["shake"] < 2 * 3 * 8 / 256
    )  # the pans go to the left and to the right, at 3 pixels a frame
    assert cut["motion"] == pytest.approx(clip_marks(traced(pan))["motion"], abs=0.05)
    every = traced([window(), other])
    assert every.cuts == [1] and len(every.pairs_in_a_shot) == 1  # there is no other pair
