import numpy as np
import pytest

from videoalign.micro_world.render import coverage, render
from videoalign.micro_world.scene import COLOURS, DIRECTIONS, SHAPES, ClipFormat, Scene


def scene_of(shape="circle", direction="right", **changes):
    start = {"right": (16.0, 32.0), "left": (48.0, 32.0), "down": (32.0, 16.0), "up": (32.0, 48.0)}[direction]
    return Scene("red", shape, direction, 1, "black", starts=(start,), **changes)


def centroid(frame):
    weight = frame[..., 0].astype(float) - frame[0, 0, 0]
    y, x = np.mgrid[: frame.shape[0], : frame.shape[1]] + 0.5
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_centre_of_a_drawn_shape_moves_by_speed_times_time(shape, direction):
    scene = scene_of(shape, direction, speed=13.0)
    frames = render(scene)
    for t in (0, 3, 16):
        expected = np.array(scene.starts[0]) + 13.0 * t / 8.0 * np.array(DIRECTIONS[direction])
        assert np.abs(centroid(frames[t]) - expected).max() < 0.1


def test_the_area_of_a_circle_is_that_of_geometry():
    drawn = coverage("circle", np.array([[31.3, 30.8]]), 18.0, 64)
    assert drawn.sum() == pytest.approx(np.pi * 81, rel=0.01)
    assert 0 < drawn[(drawn > 0) & (drawn < 1)].mean() < 1  # there are edges between covered and not


def test_a_move_by_a_whole_pixel_moves_the_picture():
    a, b = coverage("cross", np.array([[20.3, 30.6], [21.3, 28.6]]), 16.0, 64)
    np.testing.assert_array_equal(np.roll(a, (-2, 1), axis=(0, 1)), b)


def test_parts_outside_the_picture_are_cut_off():
    drawn = coverage("square", np.array([[0.0, 32.0], [-200.0, 500.0]]), 16.0, 64)
    assert drawn[0].sum() == pytest.approx(0.5 * (0.89 * 16) ** 2, rel=0.05)
    assert drawn[1].sum() == 0


def test_a_shape_has_its_colour_inside_and_the_ground_has_its_own():
    frames = render(scene_of())
    assert tuple(frames[0, 32, 16]) == COLOURS["red"]
    assert tuple(frames[0, 5, 60]) == (24, 24, 24)
    assert frames.shape == (17, 64, 64, 3)
    assert frames.dtype == np.uint8


def test_a_textured_ground_varies_in_space_and_not_in_time():
    scene = Scene("red", "circle", "right", 1, "grey", "textured", starts=((16.0, 32.0),))
    frames = render(scene)
    assert frames[0, :8].std() > 8
    assert (frames[:, :8] == frames[:1, :8]).all()


def test_a_larger_picture_shows_the_same_scene():
    small, large = render(scene_of()), render(scene_of(), ClipFormat(size=128))
    averaged = large.reshape(17, 64, 2, 64, 2, 3).mean(axis=(2, 4))
    assert np.abs(averaged - small).mean() < 1.0


def test_an_unknown_shape_is_named():
    with pytest.raises(ValueError, match="'star'"):
        coverage("star", np.zeros((1, 2)), 16.0, 64)
