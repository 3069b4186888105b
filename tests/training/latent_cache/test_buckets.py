"""Which clips go into which bucket."""

import pytest

from videoalign.errors import VideoAlignError
from videoalign.training.latent_cache.buckets import Bucket, ClipShape, choose_bucket, linked

WIDE, TALL, SHORT = Bucket(832, 480, 81, 16), Bucket(480, 832, 81, 16), Bucket(832, 480, 33, 16)


def test_a_bucket_is_read_from_its_name_and_back():
    assert Bucket.parse("832x480x81@16") == WIDE and str(WIDE) == "832x480x81@16"
    assert Bucket.parse("64x64x17@7.5").fps == 7.5
    for wrong in ("832x480", "832x480x81", "0x480x81@16", "832x480x81@0", "a"):
        with pytest.raises(VideoAlignError, match="WIDTHxHEIGHTxFRAMES@FPS"):
            Bucket.parse(wrong)


def test_frames_are_taken_at_the_buckets_rate():
    assert Bucket(64, 64, 5, 8).indices(8) == [0, 1, 2, 3, 4]
    assert Bucket(64, 64, 5, 8).indices(24) == [0, 3, 6, 9, 12]
    assert Bucket(64, 64, 5, 8).indices(30) == [0, 4, 8, 11, 15]


def test_the_best_shape_wins_then_the_longest():
    wide, tall = ClipShape(1280, 720, 100, 16), ClipShape(720, 1280, 100, 16)
    assert choose_bucket([wide], [TALL, SHORT, WIDE]) == WIDE
    assert choose_bucket([tall], [SHORT, WIDE, TALL]) == TALL


def test_a_pair_goes_into_a_bucket_that_both_fill():
    long, short = ClipShape(1280, 720, 100, 16), ClipShape(1280, 720, 40, 16)
    assert choose_bucket([long, short], [WIDE, SHORT]) == SHORT


def test_small_clips_are_not_enlarged_where_a_small_bucket_is_there():
    small, big = Bucket(416, 240, 81, 16), WIDE
    assert choose_bucket([ClipShape(416, 240, 90, 16)], [big, small]) == small
    assert choose_bucket([ClipShape(1664, 960, 90, 16)], [small, big]) == big


@pytest.mark.parametrize(
    ("clip", "reason"),
    [
        (ClipShape(1280, 720, 80, 16), "it has 80 frames, 832x480x81@16 needs 81"),
        (ClipShape(1280, 720, 100, 8), "it has 8 frames a second"),
        (ClipShape(720, 1280, 100, 16), "would cut away 68% of the picture"),
    ],
)
def test_a_clip_that_fits_nowhere_is_refused_with_the_reason(clip, reason):
    assert reason in choose_bucket([ClipShape(1280, 720, 100, 16), clip], [WIDE])


def test_clips_are_linked_through_others():
    roots = linked([("a", "b"), ("c", "d"), ("b", "e"), ("f",)])
    assert roots["a"] == roots["b"] == roots["e"]
    assert roots["c"] == roots["d"] != roots["a"]
    assert len({roots[name] for name in "acf"}) == 3
