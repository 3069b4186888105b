import itertools

import numpy as np
import pytest

from videoalign.clips.video_file import read_video, write_video
from videoalign.micro_world.clip import iterate_clips, make_clip
from videoalign.micro_world.faults import MOTION_FAULTS, VISUAL_FAULTS, Fault
from videoalign.micro_world.measure import measure
from videoalign.micro_world.scene import (
    COLOURS,
    SHAPES,
    TEXT_ATTRIBUTES,
    Attributes,
    ClipFormat,
    caption,
    change_attributes,
    sample_scene,
)
from videoalign.reward.dimensions import DIMENSIONS


def clean_clip(seed, **how):
    rng = np.random.default_rng(seed)
    return make_clip(rng, sample_scene(rng, **how), clip_format=how.get("clip_format"))


def qualities(measured):
    return np.array([measured.VQ, measured.MQ, measured.TA])


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("shape", SHAPES)
def test_colour_shape_direction_and_count_of_a_clean_clip_are_found(colour, shape):
    for i, (direction, count) in enumerate(itertools.product(("left", "up", "right", "down"), (1, 2, 3))):
        clip = clean_clip(i, attributes=Attributes(colour, shape, direction, count, ("black", "grey", "white")[i % 3]))
        found = measure(clip.frames, clip.caption)
        assert (found.colour, found.shape, found.direction, found.count) == (colour, shape, direction, count)


def test_a_clean_clip_is_measured_as_nearly_faultless():
    measured = np.array([qualities(measure(clip.frames, clip.caption)) for clip in map(clean_clip, range(40))])
    assert (measured.mean(axis=0) > [-0.06, -0.06, -1e-9]).all()
    assert measured.min() > -0.25


def test_the_speed_is_that_of_the_scene():
    for seed in range(10):
        clip = clean_clip(seed)
        assert measure(clip.frames, clip.caption).motion.speed == pytest.approx(clip.scene.speed, rel=0.05)


def test_agreement_with_the_truth_on_pairs_that_differ_clearly():
    clips = list(itertools.islice(iterate_clips(77), 160))
    truth = np.array([[clip.quality[name] for name in DIMENSIONS] for clip in clips])
    found = [measure(clip.frames, clip.caption) for clip in clips]
    measured = np.array([qualities(one) for one in found])
    for k in range(3):
        difference = truth[:, None, k] - truth[None, :, k]
        clear = np.abs(difference) >= 0.4
        agreement = np.sign(measured[:, None, k] - measured[None, :, k])[clear] == np.sign(difference)[clear]
        assert agreement.mean() > 0.98
    for name in TEXT_ATTRIBUTES:
        right = [getattr(one, name) == getattr(clip.scene, name) for one, clip in zip(found, clips, strict=True)]
        assert np.mean(right) > 0.98


@pytest.mark.parametrize("kind", VISUAL_FAULTS + MOTION_FAULTS)
def test_every_fault_is_measured_in_its_own_unit_and_dimension(kind):
    by_degree = []
    for degree in (0.3, 0.6, 0.9):
        clips = []
        for seed in range(6):
            rng = np.random.default_rng([seed, 1])
            clips.append(make_clip(rng, sample_scene(rng), (Fault(kind, degree),)))
        measured = np.mean([qualities(measure(clip.frames, clip.caption)) for clip in clips], axis=0)
        own, other = (0, 1) if kind in VISUAL_FAULTS else (1, 0)
        assert measured[own] == pytest.approx(-degree, abs=0.2)
        assert measured[other] > -0.2
        by_degree.append(measured[own])
    assert by_degree[0] > by_degree[1] > by_degree[2]


@pytest.mark.parametrize("name", TEXT_ATTRIBUTES)
def test_a_wrong_word_in_the_caption_lowers_only_text_alignment(name):
    clip = clean_clip(3)
    wrong = caption(change_attributes(np.random.default_rng(0), clip.scene, (name,)))
    right, measured = measure(clip.frames, clip.caption), measure(clip.frames, wrong)
    assert pytest.approx(right.TA - 0.25) == measured.TA
    assert (measured.VQ, measured.MQ) == (right.VQ, right.MQ)


def test_a_clip_played_backwards_moves_the_other_way_as_smoothly():
    clip = clean_clip(5, attributes=Attributes("green", "square", "left", 2))
    measured = measure(clip.frames[::-1], clip.caption)
    assert measured.direction == "right"
    assert measured.MQ > -0.1


def test_heavy_noise_does_not_hide_what_is_shown():
    rng = np.random.default_rng(0)
    for seed in range(8):
        clip = clean_clip(seed)
        noisy = np.clip(clip.frames + rng.normal(0, 60, clip.frames.shape), 0, 255).astype(np.uint8)
        measured = measure(noisy, clip.caption)
        assert measured.TA == 0
        assert measured.noise > 0.8
        assert measured.MQ > -0.25


def test_the_codec_is_no_fault(tmp_path):
    for seed in range(4):
        clip = clean_clip(seed)
        write_video(tmp_path / "clip.mp4", clip.frames, clip.fps)
        decoded, _ = read_video(tmp_path / "clip.mp4")
        direct = qualities(measure(clip.frames, clip.caption))
        np.testing.assert_allclose(qualities(measure(decoded, clip.caption)), direct, atol=0.06)


@pytest.mark.parametrize("level", [0, 112, 255])
def test_a_clip_without_shapes_has_the_worst_quality(level):
    measured = measure(np.full((17, 64, 64, 3), level, np.uint8), "one red circle moves left over a plain grey ground")
    assert (measured.colour, measured.shape, measured.direction, measured.count) == (None, None, None, 0)
    assert tuple(qualities(measured)) == (-1, -1, -1)


def test_pure_noise_has_the_worst_text_alignment():
    noise = np.random.default_rng(0).integers(0, 256, (17, 64, 64, 3), dtype=np.uint8)
    assert measure(noise, "one red circle moves left over a plain grey ground").TA <= -0.75


def test_shapes_that_vanish_for_some_frames_lower_motion_quality():
    clip = clean_clip(1)
    broken = clip.frames.copy()
    broken[6:10] = np.median(broken, axis=(1, 2), keepdims=True)[6:10].astype(np.uint8)
    assert measure(broken, clip.caption).motion.missing == pytest.approx(4 / 17)
    assert measure(broken, clip.caption).MQ < -0.2


@pytest.mark.parametrize(
    "clip_format", [ClipFormat(frames=33, fps=16.0), ClipFormat(size=128), ClipFormat(frames=9, fps=4.0)]
)
def test_other_frame_rates_and_sizes_are_measured_alike(clip_format):
    for seed in range(6):
        clip = clean_clip(seed, clip_format=clip_format)
        measured = measure(clip.frames, clip.caption, fps=clip.fps)
        assert measured.TA == 0
        assert measured.MQ > -0.2
        assert measured.VQ > -0.25


def test_frames_that_cannot_be_measured_are_refused():
    text = "one red circle moves left over a plain grey ground"
    with pytest.raises(ValueError, match="uint8"):
        measure(np.zeros((17, 64, 64, 3), np.float32), text)
    with pytest.raises(ValueError, match="17 frames of 60x60"):
        measure(np.zeros((17, 60, 60, 3), np.uint8), text)
    with pytest.raises(ValueError, match="4 frames"):
        measure(np.zeros((4, 64, 64, 3), np.uint8), text)
    with pytest.raises(ValueError, match="fps is 0"):
        measure(np.zeros((17, 64, 64, 3), np.uint8), text, fps=0)
    with pytest.raises(ValueError, match="unknown word 'pink'"):
        measure(np.zeros((17, 64, 64, 3), np.uint8), text.replace("red", "pink"))
