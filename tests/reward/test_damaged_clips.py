"""A file that cannot be scored is a ClipError whose text names the file and says what is wrong and what to do."""

import io
import math

import av
import numpy as np
import pytest

from videoalign.errors import ClipError
from videoalign.reward.clip import prepare_clip
from videoalign.reward.settings import FrameSampling

DO = r"(Copy or download|damaged, incomplete or not a video|give a|Check the path|[Cc]opy or render)"


def refused(source, hint, **options):
    with pytest.raises(ClipError, match=hint) as caught:
        prepare_clip(source, FrameSampling(), **options)
    return str(caught.value)


@pytest.mark.parametrize("share", [0.95, 0.8, 0.5, 0.2])
@pytest.mark.parametrize("frames", [24, 120])
def test_a_truncated_mp4_with_its_index_at_the_front_is_noticed(encode, frames, share):
    path = encode("front.mp4", frames, muxer={"movflags": "faststart"}, options={"g": "8"})
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    path.write_bytes(content[: int(len(content) * share)])
    text = refused(path, r"truncated|damaged|cannot be decoded")
    assert "front.mp4" in text


def test_a_truncated_mp4_with_its_index_at_the_end_is_noticed(clips, tmp_path):
    path = tmp_path / "cut.mp4"
    content = (clips / "s22_16fps_33f_832x480.mp4").read_bytes()
    path.write_bytes(content[: int(len(content) * 0.9)])
    refused(path, DO)


@pytest.mark.parametrize("share", [0.85, 0.6, 0.3])
@pytest.mark.parametrize(("name", "codec"), [("cut.mkv", "libx264"), ("cut.webm", "libvpx-vp9")])
def test_a_truncated_matroska_file_is_noticed(encode, name, codec, share):
    path = encode(name, 72, codec=codec, size=(256, 192), options={"g": "8"})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, r"cut\.\w+ is truncated: its header promises 3\.0 s, .* can be read\. Copy or download")


def test_a_truncated_avi_is_noticed(encode):
    path = encode("cut.avi", 48, codec="mpeg4")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.6)])
    refused(path, r"truncated|damaged|cannot be decoded")


def test_damage_in_the_middle_is_not_scored_as_if_nothing_were(clips, tmp_path):
    path = tmp_path / "holes.mp4"
    content = bytearray((clips / "s23_24fps_121f_704x480.mp4").read_bytes())
    content[len(content) // 3 : len(content) // 3 * 2] = bytes(len(content) // 3)
    path.write_bytes(content)
    refused(path, DO)


def test_a_text_file_with_the_name_of_a_video_is_refused(tmp_path):
    path = tmp_path / "notes.mp4"
    path.write_text("this is not a video\n" * 50, encoding="utf-8")
    assert "notes.mp4" in refused(path, r"damaged, incomplete or not a video")


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "empty.mp4").touch()
    refused(tmp_path / "empty.mp4", r"empty\.mp4 is empty \(0 bytes\)")
    refused(io.BytesIO(), r"video stream cannot be decoded")


def test_a_folder_is_refused(tmp_path):
    refused(tmp_path, r"is a folder, not a video file")


def test_a_missing_file_is_refused(tmp_path):
    refused(tmp_path / "none.mp4", r"none\.mp4 does not exist\. Check the path")
    refused("x" * 5000, r"cannot be read|does not exist")
    refused("a\0b", r"does not exist")


def test_a_file_with_sound_only_is_refused(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        for index in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, index * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    refused(path, r"sound\.mp4 has no video stream; give a video file")


def test_a_clip_of_one_frame_is_refused(encode):
    refused(encode("one.mp4", 1), r"has 1 frame\(s\); VideoReward needs at least 2")


@pytest.mark.parametrize("fps", [0, -24, 0.01, 1e6, math.nan, math.inf, "fast"])
def test_a_frame_rate_that_cannot_be_is_refused(clips, fps):
    refused(clips / "s05_10fps_3f_96x64.mp4", r"a frame rate of .*; give one between 0\.1 and 1000", fps=fps)


def test_a_file_object_open_as_text_is_refused(clips):
    with open(clips / "s05_10fps_3f_96x64.mp4", encoding="latin-1") as file:
        refused(file, r"open it in binary mode")


def test_a_source_whose_reading_fails_is_a_clip_error_not_a_crash():
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise ConnectionResetError("the server hung up")

    refused(Broken(b"x" * 100), r"video stream cannot be (read|decoded)")


def test_a_closed_container_is_refused(clips):
    container = av.open(str(clips / "s05_10fps_3f_96x64.mp4"))
    container.close()
    refused(container, r"is closed; pass the container before closing it")


@pytest.mark.parametrize("source", [None, 7, ["a.mp4"], np.zeros((4, 64, 64, 3))])
def test_anything_else_is_refused_with_what_a_clip_may_be(source):
    refused(source, r"A clip is a path, a file object, a PyAV container or Frames\(pixels, fps\); got")


def test_the_27_odd_clips_are_all_prepared_or_refused_clearly(official, clips):
    names = sorted(path.stem for path in clips.glob("s*.mp4"))
    assert len(names) == 27
    refusals = []
    for name in names:
        try:
            official.prepared(f"syn/{name}")
        except ClipError:
            refusals.append(name)
    assert refusals == ["s08_10fps_1f_96x64"]
