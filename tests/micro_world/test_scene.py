import itertools

import numpy as np
import pytest

from videoalign.micro_world.scene import (
    COLOURS,
    COUNTS,
    DIRECTIONS,
    FRAME,
    GROUND_KINDS,
    GROUNDS,
    REACH,
    SHAPES,
    VOCABULARY,
    Attributes,
    ClipFormat,
    Scene,
    caption,
    change_attributes,
    parse_caption,
    sample_attributes,
    sample_scene,
)


def every_attributes():
    for words in itertools.product(COLOURS, SHAPES, DIRECTIONS, COUNTS.values(), GROUNDS, GROUND_KINDS):
        yield Attributes(*words)


def test_a_caption_reads_as_documented():
    assert caption(Attributes("red", "circle", "left", 2)) == "two red circles move left over a plain grey ground"
    assert caption(Attributes("blue", "cross", "up", 1, "black", "textured")) == (
        "one blue cross moves up over a textured black ground"
    )


def test_every_caption_is_read_back_and_uses_the_vocabulary_only():
    used = set()
    for attributes in every_attributes():
        text = caption(attributes)
        used |= set(text.split())
        assert parse_caption(text) == attributes
    assert used == set(VOCABULARY)
    assert len(VOCABULARY) == len(set(VOCABULARY))


def test_an_unknown_word_is_named():
    with pytest.raises(ValueError, match="unknown word 'pink'"):
        parse_caption("two pink circles move left over a plain grey ground")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "two red circles",
        "two red circle move left over a plain grey ground",
        "one red circle move left over a plain grey ground",
        "red two circles move left over a plain grey ground",
        "two red circles move left over a grey plain ground",
    ],
)
def test_known_words_in_a_wrong_order_are_refused_with_an_example(text):
    with pytest.raises(ValueError, match="caption reads like"):
        parse_caption(text)


def test_shapes_stay_inside_the_frame_and_never_touch():
    for seed in range(300):
        scene = sample_scene(np.random.default_rng(seed))
        path = scene.path(ClipFormat())
        reach = scene.diameter * REACH[scene.shape]
        assert path.min() - reach > 0
        assert path.max() + reach < FRAME
        for i, j in itertools.combinations(range(scene.count), 2):
            assert np.linalg.norm(path[0, i] - path[0, j]) > 1.2 * scene.diameter


def test_a_shape_crosses_a_third_to_a_half_of_the_frame():
    for seed in range(100):
        path = sample_scene(np.random.default_rng(seed)).path(ClipFormat())
        assert FRAME / 3 < np.linalg.norm(path[-1, 0] - path[0, 0]) < FRAME / 2


def test_equal_seeds_give_equal_scenes():
    assert sample_scene(np.random.default_rng(3)) == sample_scene(np.random.default_rng(3))
    assert sample_scene(np.random.default_rng(3)) != sample_scene(np.random.default_rng(4))


def test_changing_attributes_changes_exactly_the_named_ones():
    rng = np.random.default_rng(0)
    for _ in range(50):
        before = sample_attributes(rng)
        after = change_attributes(rng, before, ("colour", "count"))
        assert {name for name in vars(before) if getattr(before, name) != getattr(after, name)} == {"colour", "count"}
    with pytest.raises(ValueError, match="ground"):
        change_attributes(rng, before, ("ground",))


def test_words_outside_the_world_are_refused():
    with pytest.raises(ValueError, match="colour 'pink'"):
        Attributes("pink", "circle", "left", 1)
    with pytest.raises(ValueError, match="count 4"):
        Attributes("red", "circle", "left", 4)
    with pytest.raises(ValueError, match="count 2 needs that many starts; got 1"):
        Scene("red", "circle", "left", 2, starts=((32.0, 32.0),))


@pytest.mark.parametrize("wrong", [{"size": 24}, {"size": 65}, {"frames": 4}, {"fps": 0.0}, {"frames": 33}])
def test_a_format_that_shapes_do_not_fit_is_refused(wrong):
    with pytest.raises(ValueError):
        ClipFormat(**wrong)
