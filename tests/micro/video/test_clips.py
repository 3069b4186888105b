"""The data set of the micro video model."""

import numpy as np

from videoalign.micro.video.clips import read_captions, sample_video_clip, write_shard


def test_a_clip_depends_on_its_seed_and_number_alone():
    again = [sample_video_clip(3, 7) for _ in range(2)]
    assert np.array_equal(again[0].frames, again[1].frames) and again[0].caption == again[1].caption
    assert not np.array_equal(again[0].frames, sample_video_clip(3, 8).frames)
    assert not np.array_equal(again[0].frames, sample_video_clip(4, 7).frames)


def test_quality_is_mixed_in_the_shares_that_are_promised():
    qualities = [sample_video_clip(0, i).quality for i in range(150)]
    for dimension, share in (("VQ", 0.2), ("MQ", 0.2), ("TA", 0.05)):
        spoilt = np.mean([quality[dimension] < 0 for quality in qualities])
        assert abs(spoilt - share) < 3.5 * np.sqrt(share * (1 - share) / 150), dimension
    assert min(quality["TA"] for quality in qualities) >= -0.5


def test_a_shard_holds_its_clips_with_their_captions_and_is_made_once(tmp_path):
    file = write_shard(tmp_path, seed=5, shard=2, size=3)
    clips = [sample_video_clip(5, i) for i in (6, 7, 8)]
    assert np.array_equal(np.load(file), np.stack([clip.frames for clip in clips]))
    assert [row["caption"] for row in read_captions(file)] == [clip.caption for clip in clips]
    assert [row["quality"] for row in read_captions(file)] == [clip.quality for clip in clips]
    before = file.stat().st_mtime_ns
    assert write_shard(tmp_path, seed=5, shard=2, size=3) == file and file.stat().st_mtime_ns == before
