"""Sharpness, light, colour and cuts on planted faults and against plain numpy."""

import colorsys

import numpy as np
import pytest

from videoalign.measures.clip_measures import clip_details, clip_marks
from videoalign.measures.colour import saturation
from videoalign.measures.cuts import colour_histogram, cuts, histogram_distance
from videoalign.measures.light import light
from videoalign.measures.sharpness import laplacian_variance
from videoalign.measures.thirds import drift, drop
from videoalign.measures.working_size import at_working_size

cv2 = pytest.importorskip("cv2", reason="the measurements need OpenCV: pip install '.[measure]'")


def test_sharpness_is_the_variance_of_the_four_neighbours_laplacian():
    grey = np.random.default_rng(0).integers(0, 256, (31, 47)).astype(np.uint8)
    around = np.pad(grey.astype(np.float64), 1, mode="reflect")
    laplacian = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:] - 4 * around[1:-1, 1:-1]
    # Mean of squares less square of the mean, in doubles: roundoff of sums of some 1e3 numbers.
    assert laplacian_variance(grey) == pytest.approx(laplacian.var(), rel=1e-12)


def test_a_last_third_that_blurs_is_a_drop_of_sharpness_and_a_steady_clip_is_none(window, traced):
    frames = [window(2 * number) for number in range(12)]
    blurred = frames[:8] + [cv2.GaussianBlur(frame, (0, 0), 3) for frame in frames[8:]]
    greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in blurred]
    sharp = [laplacian_variance(grey) for grey in greys]
    expected = 1 - np.mean(sharp[8:]) / np.mean(sharp[:4])
    assert clip_marks(traced(blurred))["blurring"] == pytest.approx(expected) and expected > 0.5
    assert abs(clip_marks(traced(frames))["blurring"]) < 0.1
    assert clip_marks(traced(blurred[::-1]))["blurring"] == pytest.approx(-expected)


def test_thirds_are_rounded_down_and_never_empty():
    assert drift([1, 2]) == 1 and drift([5]) == 0 and drift([0, 0, 9, 9, 9, 4, 4, 4]) == 4
    assert drop([0, 0, 0]) == 0 and drop([4, 0, 1]) == 0.75 and drop([0, 0, 3]) == -1


def test_light_is_that_of_the_levels(traced):
    grey = np.full((40, 50), 128, np.uint8)
    grey[:10], grey[10:14], grey[14, :], grey[15, :] = 1, 254, 2, 253  # the two last are not clipped
    seen = light(grey)
    assert seen.brightness == pytest.approx(grey.mean() / 255, rel=1e-12)
    assert (seen.crushed, seen.blown) == (0.25, 0.1) and not seen.black and not seen.uniform
    ramp = [np.full((48, 64, 3), 20 * number, np.uint8) for number in range(12)]
    trace = traced(ramp)
    assert clip_marks(trace)["light_drift"] == pytest.approx(160 / 255)
    assert clip_details(trace)["brightness"] == pytest.approx(110 / 255)
    assert clip_marks(trace)["uniform"] == 1.0 and clip_marks(trace)["black"] == 2 / 12  # levels 0 and 20


def test_black_is_dark_nearly_everywhere_and_uniform_is_without_contrast():
    dark = np.full((100, 100), 25, np.uint8)
    dark[0] = 255
    assert light(dark).black and not light(dark).uniform
    dark[1:3] = 26
    assert not light(dark).black
    faint = np.full((10, 10), 90, np.uint8)
    faint[::2] += 1  # deviation a half
    assert light(faint).uniform
    faint[::2] += 1  # one
    assert not light(faint).uniform


def test_saturation_is_that_of_hsv(window, traced):
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    expected = np.mean([colorsys.rgb_to_hsv(*pixel)[1] for pixel in picture.reshape(-1, 3) / 255])
    assert saturation(picture) == pytest.approx(
        expected, abs=0.5 / 255 + 1e-3
    )  # 8 bits, and OpenCV's table of divisions
    grey = window().mean(-1, keepdims=True).round().astype(np.uint8).repeat(3, -1)
    fading = [window()] * 4 + [window() // 2 + grey // 2] * 4 + [grey] * 4
    assert clip_marks(traced(fading))["colour_drift"] == pytest.approx(saturation(window()), abs=1e-3)
    assert saturation(grey) == 0


def test_a_cut_is_found_where_it_is_and_a_flash_a_fade_and_a_pan_are_none(window, traced, texture):
    other = np.ascontiguousarray(255 - texture[:256, :320] // 3)
    pan = [window(6 * number) for number in range(20)]
    for frame in (1, 7, 19):
        trace = traced(pan[:frame] + [np.roll(other, 4 * number, 1) for number in range(20 - frame)], fps=24.0)
        assert trace.cuts == [frame] and clip_marks(trace)["cuts"] == 1
    assert traced(pan, 24.0).cuts == []
    assert traced([*pan[:9], np.full_like(pan[0], 255), *pan[10:]], 24.0).cuts == []
    fade = [np.round(window() * share).astype(np.uint8) for share in np.linspace(1, 0, 20)]
    assert traced(fade, 24.0).cuts == []


def test_the_histogram_distance_is_none_for_alike_and_all_for_nothing_in_common():
    black, white = (np.full((8, 8, 3), level, np.uint8) for level in (0, 255))
    assert histogram_distance(colour_histogram(black), colour_histogram(white)) == 1
    assert histogram_distance(colour_histogram(white), colour_histogram(white)) == 0
    shares = colour_histogram(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
    assert np.allclose(shares.sum(1), 1, rtol=0, atol=1e-12)
    # A step of one level is never more than its share of a bin, wherever the bins' borders are.
    for level in range(255):
        one, next_one = (np.full((8, 8, 3), number, np.uint8) for number in (level, level + 1))
        assert histogram_distance(colour_histogram(one), colour_histogram(next_one)) <= 32 / 256 + 1e-12


def test_two_neighbouring_steps_are_no_cut():
    assert cuts([0.0, 0.9, 0.0, 0.0]) == [2]
    assert cuts([0.0, 0.9, 0.9, 0.0]) == []
    assert cuts([0.5]) == [1] and cuts([0.29]) == [] and cuts([]) == []


def test_working_sizes_keep_the_aspect_and_never_enlarge():
    assert at_working_size(np.zeros((1080, 1920, 3), np.uint8), 480).shape == (480, 853, 3)
    assert at_working_size(np.zeros((500, 300), np.uint8), 256).shape == (427, 256)
    small = np.zeros((100, 120), np.uint8)
    assert at_working_size(small, 256) is small
    flat = np.full((600, 1000, 3), 77, np.uint8)
    assert (at_working_size(flat, 256) == 77).all()
