import itertools

import numpy as np
import pytest

from videoalign.micro_world.clip import iterate_clips, make_clip, sample_clip, text_mismatch
from videoalign.micro_world.faults import Fault
from videoalign.micro_world.scene import Attributes, ClipFormat, caption, change_attributes, sample_scene


def test_equal_seeds_give_equal_bytes():
    a, b = (sample_clip(np.random.default_rng(5)) for _ in range(2))
    assert a.frames.tobytes() == b.frames.tobytes()
    assert (a.caption, a.faults, a.quality) == (b.caption, b.faults, b.quality)
    assert sample_clip(np.random.default_rng(6)).frames.tobytes() != a.frames.tobytes()


def test_a_faultless_clip_with_its_own_caption_has_quality_zero():
    rng = np.random.default_rng(0)
    clip = make_clip(rng, sample_scene(rng))
    assert clip.quality == {"VQ": 0.0, "MQ": 0.0, "TA": 0.0}
    assert clip.caption == caption(clip.scene)


def test_each_fault_lowers_only_its_own_dimension():
    scene = sample_scene(np.random.default_rng(1))
    clip = make_clip(np.random.default_rng(0), scene, (Fault("blur", 0.5), Fault("noise", 0.2)))
    assert clip.quality == {"VQ": pytest.approx(-0.7), "MQ": 0.0, "TA": 0.0}
    clip = make_clip(np.random.default_rng(0), scene, (Fault("freeze", 0.6),))
    assert clip.quality == {"VQ": 0.0, "MQ": pytest.approx(-0.6), "TA": 0.0}


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4])
def test_a_wrong_caption_lowers_text_alignment_by_a_quarter_for_each_attribute(number):
    rng = np.random.default_rng(number)
    scene = sample_scene(rng)
    described = change_attributes(rng, scene, ("colour", "shape", "direction", "count")[:number])
    clip = make_clip(np.random.default_rng(0), scene, (), described)
    assert clip.quality == {"VQ": 0.0, "MQ": 0.0, "TA": pytest.approx(-number / 4)}
    right = make_clip(np.random.default_rng(0), scene)
    assert clip.frames.tobytes() == right.frames.tobytes()


def test_the_ground_is_not_judged():
    assert (
        text_mismatch(Attributes("red", "cross", "up", 1, "black"), Attributes("red", "cross", "up", 1, "white")) == 0
    )


def test_degrees_are_mixed_independently_with_a_good_share_of_zeros():
    format_ = ClipFormat(size=32, frames=5)
    clips = [sample_clip(np.random.default_rng([1, i]), clip_format=format_) for i in range(600)]
    quality = np.array([[clip.quality[name] for name in ("VQ", "MQ", "TA")] for clip in clips])
    assert quality.min() >= -1
    assert quality.max() == 0
    assert ((quality == 0).mean(axis=0) > 0.33).all()
    assert ((quality < -0.5).mean(axis=0) > 0.1).all()
    assert np.abs(np.corrcoef(quality.T) - np.eye(3)).max() < 0.12


def test_clips_can_be_iterated_without_end_and_differ():
    clips = list(itertools.islice(iterate_clips(2), 3))
    assert len({clip.frames.tobytes() for clip in clips}) == 3
    assert clips[0].frames.tobytes() == next(iterate_clips(2)).frames.tobytes()


def test_a_fault_named_twice_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="twice"):
        make_clip(rng, sample_scene(rng), (Fault("blur", 0.1), Fault("blur", 0.2)))
