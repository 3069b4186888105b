"""Clips as the VAE takes them."""

import os

import numpy as np
import pytest
import torch
from small_clips import write_clip

from videoalign.clips.video_file import read_video
from videoalign.errors import ClipError
from videoalign.training.latent_cache.buckets import Bucket
from videoalign.training.latent_cache.clip_pixels import KnownClips, read_clip


def test_a_clip_of_the_buckets_size_is_only_scaled_to_minus_one_to_one(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", frames=6)
    frames, _ = read_video(path)
    video = read_clip(path, Bucket(32, 32, 5, 8))
    expected = torch.from_numpy(frames[:5].astype(np.float32)).permute(3, 0, 1, 2) / 127.5 - 1
    assert torch.equal(video, expected)


def test_every_nth_frame_is_taken_from_a_faster_clip(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", frames=12, fps=24)
    frames, _ = read_video(path)
    video = read_clip(path, Bucket(32, 32, 3, 8))
    assert torch.equal(video[:, 1], torch.from_numpy(frames[3].astype(np.float32)).permute(2, 0, 1) / 127.5 - 1)


def test_another_shape_is_scaled_to_cover_and_its_middle_cut_out(tmp_path):
    from videoalign.clips.video_file import write_video

    frames = np.full((5, 64, 96, 3), 30, np.uint8)
    frames[:, :, 16:80] = 220  # a bright middle as wide as the clip is high
    write_video(tmp_path / "clip.mp4", frames, 8)
    video = read_clip(tmp_path / "clip.mp4", Bucket(32, 32, 5, 8))
    assert video.shape == (3, 5, 32, 32)
    assert video[..., 1:-1].min() > 0.6  # the dark sides are gone


def test_a_short_clip_is_refused(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", frames=4)
    with pytest.raises(ClipError, match="has 4 frames; 32x32x5@8 needs 5"):
        read_clip(path, Bucket(32, 32, 5, 8))


def test_known_clips_are_not_read_again_until_they_change(tmp_path, monkeypatch):
    from videoalign.training.latent_cache import clip_pixels

    reads = []
    inner = clip_pixels.decode_frames
    monkeypatch.setattr(clip_pixels, "decode_frames", lambda path, *rest: reads.append(path) or inner(path, *rest))
    path = write_clip(tmp_path / "clip.mp4")
    known = KnownClips(tmp_path / "clips.json")
    facts = known.facts(path)
    known.save()
    again = KnownClips(tmp_path / "clips.json")
    assert again.facts(path) == facts and len(reads) == 1
    assert (facts.shape.width, facts.shape.frames, facts.shape.fps) == (32, 6, 8)
    write_clip(path, seed=1)
    os.utime(path, ns=(1, 1))
    assert again.facts(path).digest != facts.digest and len(reads) == 2
