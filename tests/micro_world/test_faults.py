import itertools

import numpy as np
import pytest

from videoalign.micro_world.faults import (
    MOTION_FAULTS,
    VISUAL_FAULTS,
    Fault,
    faulty_path,
    flicker,
    spoil_frames,
    total_degree,
)
from videoalign.micro_world.render import draw_frames, render
from videoalign.micro_world.scene import ClipFormat, Scene

SCENE = Scene("red", "circle", "right", 1, "grey", "textured", starts=((14.0, 32.0),), diameter=16.0, speed=13.0)
DEGREES = (0.0, 0.25, 0.5, 0.75, 1.0)


def path(kind, degree, seed=0):
    return faulty_path(np.random.default_rng(seed), SCENE, (Fault(kind, degree),), ClipFormat())[:, 0]


def spoilt(kind, degree, seed=0):
    return spoil_frames(
        np.random.default_rng(seed), draw_frames(SCENE, SCENE.path(ClipFormat()), 64), (Fault(kind, degree),)
    )


def rises(values, by=0.0):
    return all(later > earlier + by for earlier, later in itertools.pairwise(values))


@pytest.mark.parametrize("kind", VISUAL_FAULTS)
def test_degree_zero_of_a_visual_fault_changes_nothing(kind):
    np.testing.assert_array_equal(spoilt(kind, 0.0), draw_frames(SCENE, SCENE.path(ClipFormat()), 64))


@pytest.mark.parametrize("kind", MOTION_FAULTS)
def test_degree_zero_of_a_motion_fault_changes_nothing(kind):
    np.testing.assert_array_equal(path(kind, 0.0), SCENE.path(ClipFormat())[:, 0])
    frames = render(SCENE).astype(np.float32)
    np.testing.assert_array_equal(flicker(np.random.default_rng(0), frames, 0.0), frames)


@pytest.mark.parametrize("kind", VISUAL_FAULTS)
def test_a_visual_fault_grows_with_its_degree(kind):
    clean = spoilt(kind, 0.0)
    assert rises([np.abs(spoilt(kind, degree) - clean).mean() for degree in DEGREES])


@pytest.mark.parametrize("kind", [kind for kind in MOTION_FAULTS if kind != "flicker"])
def test_a_path_fault_grows_with_its_degree(kind):
    clean = SCENE.path(ClipFormat())[:, 0]
    # The whole path may be shifted into the frame, so compare the steps.
    assert rises([np.abs(np.diff(path(kind, degree) - clean, axis=0)).mean() for degree in DEGREES])


def test_noise_raises_the_energy_of_high_frequencies_and_blur_lowers_it():
    def energy(frames):
        spectrum = np.abs(np.fft.fft2(frames.mean(axis=-1), axes=(1, 2))) ** 2
        high = np.abs(np.fft.fftfreq(64)) > 0.25
        return spectrum[:, high][:, :, high].mean()

    assert rises([energy(spoilt("noise", degree)) for degree in DEGREES])
    assert rises([-energy(spoilt("blur", degree)) for degree in DEGREES])


def test_fading_lowers_saturation_and_keeps_the_order_of_the_channels():
    def inside(degree):
        return spoilt("fade", degree)[0, 32, 14]

    spread = [np.ptp(inside(degree)) for degree in DEGREES]
    assert rises([-value for value in spread])
    assert all(inside(degree).argmax() == 0 for degree in DEGREES)
    assert spread[-1] > 20


def test_block_artefacts_make_steps_at_every_eighth_pixel():
    step = np.abs(np.diff(spoilt("blocks", 1.0).mean(axis=(0, 3)), axis=1)).mean(axis=0)
    assert step[7::8].min() > 3 * np.delete(step, np.s_[7::8]).mean()


@pytest.mark.parametrize("kind", ["blur", "fade", "blocks"])
def test_a_visual_fault_leaves_the_shape_where_it_is(kind):
    def centres(frames):
        weight = np.maximum(frames[..., 0] - frames[..., 1], 0)
        return weight.sum(axis=1) @ (np.arange(64) + 0.5) / weight.sum(axis=(1, 2))

    assert np.abs(centres(spoilt(kind, 1.0)) - centres(spoilt(kind, 0.0))).max() < 0.7


def test_a_teleport_is_a_jump_there_and_a_jump_back():
    steps = np.linalg.norm(np.diff(path("teleport", 1.0), axis=0), axis=1)
    assert (steps > 15).sum() == 2
    assert np.sort(steps)[-3] < 2


def test_a_freeze_stands_still_and_then_catches_up():
    frozen, even = path("freeze", 1.0), SCENE.path(ClipFormat())[:, 0]
    steps = np.linalg.norm(np.diff(frozen, axis=0), axis=1)
    assert (steps < 1e-9).sum() >= 10
    np.testing.assert_allclose(frozen[-1], even[-1])


def test_jitter_displaces_every_frame_by_the_same_length():
    offset = path("jitter", 1.0) - SCENE.path(ClipFormat())[:, 0]
    offset = offset - offset.mean(axis=0)
    assert np.linalg.norm(offset, axis=1).mean() == pytest.approx(4.0, rel=0.25)


def test_slowness_shortens_the_way_and_surging_keeps_its_mean():
    assert np.ptp(path("slow", 1.0)[:, 0]) == pytest.approx(0.15 * 26, rel=1e-6)
    steps = np.diff(path("surge", 1.0)[:, 0])
    assert steps.min() < 0 < 4 < steps.max()
    assert steps[:8].sum() == pytest.approx(13.0, abs=1e-6)  # one period of a second


def test_flicker_changes_brightness_between_frames_only():
    frames = np.full((17, 8, 8, 3), 112, np.float32)
    swings = [np.abs(np.diff(flicker(np.random.default_rng(0), frames, d)[:, 0, 0, 0])).mean() for d in DEGREES]
    assert rises(swings, by=5)
    assert flicker(np.random.default_rng(0), frames, 1.0).std(axis=(1, 2, 3)).max() < 1e-3


@pytest.mark.parametrize("kind", [kind for kind in MOTION_FAULTS if kind != "flicker"])
def test_faulty_paths_stay_inside_the_frame(kind):
    for seed in range(30):
        places = path(kind, 1.0, seed)
        assert places.min() > 6
        assert places.max() < 58


def test_degrees_of_the_asked_kinds_add_up_to_at_most_one():
    faults = (Fault("noise", 0.3), Fault("blur", 0.4), Fault("slow", 0.9), Fault("jitter", 0.6))
    assert total_degree(faults, VISUAL_FAULTS) == pytest.approx(0.7)
    assert total_degree(faults, MOTION_FAULTS) == 1.0


@pytest.mark.parametrize(
    ("kind", "degree", "named"), [("dirt", 0.5, "dirt"), ("noise", 1.5, "1.5"), ("blur", -0.1, "-0.1")]
)
def test_an_unknown_fault_or_degree_is_named(kind, degree, named):
    with pytest.raises(ValueError, match=named):
        Fault(kind, degree)
