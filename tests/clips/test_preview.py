import av
import numpy as np
import pytest

from videoalign.clips.preview import LEAST_SIDE, playable
from videoalign.clips.video_file import read_video
from videoalign.errors import ClipError


def test_what_browsers_play_is_shown_as_it_is(noise_clip, tmp_path):
    path, _ = noise_clip(size=LEAST_SIDE, pixel_format="yuv420p")
    assert playable(path, tmp_path / "previews") == path
    assert not (tmp_path / "previews").exists()


def test_full_colour_is_copied_into_a_form_that_every_browser_plays_frame_by_frame(noise_clip, tmp_path):
    path, _ = noise_clip(size=LEAST_SIDE)
    copy = playable(path, tmp_path / "previews")
    with av.open(str(copy)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.format.name, float(stream.average_rate)) == ("h264", "yuv420p", 8.0)
    assert read_video(copy)[0].shape == read_video(path)[0].shape


def test_small_pictures_are_enlarged_pixel_by_pixel(noise_clip, tmp_path):
    path, _ = noise_clip(size=32)
    large, small = read_video(playable(path, tmp_path / "previews"))[0], read_video(path)[0]
    assert large.shape == (5, 256, 256, 3)
    middles = large[:, 4::8, 4::8].astype(int)
    assert np.abs(middles - small.astype(int)).mean() < 3  # one pixel became a block of its colour


def test_a_copy_is_made_once_and_anew_when_the_clip_changes(noise_clip, tmp_path):
    path, _ = noise_clip()
    copy = playable(path, tmp_path / "previews")
    made = copy.stat().st_mtime_ns
    assert playable(path, tmp_path / "previews").stat().st_mtime_ns == made
    noise_clip(size=40)
    assert playable(path, tmp_path / "previews") != copy


def test_a_file_that_is_no_video_is_named(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    with pytest.raises(ClipError, match=r"a\.mp4"):
        playable(tmp_path / "a.mp4", tmp_path)
