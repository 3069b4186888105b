"""Files after public bug reports, each against plain PyAV or what its README says. They lie beside the project, not in it."""

import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from videoalign.clips.video_decoding import decode_frames, play_frames
from videoalign.errors import ClipError


def every(total, fps):
    return list(range(total))


@pytest.fixture
def video(field_cases):
    return lambda name: field_cases / "video" / name


@pytest.mark.parametrize(
    ("name", "rate"),
    [("mpeg4_no_stss.mp4", 24), ("paff.ts", 12.5), ("cat.ts", 24), ("vfr2.mp4", 11.75), ("vfr2.ts", 11.75), ("vfr2.webm", 11.75),
     ("r1000.mkv", 1000), ("n2.ts", 24), ("sar2.mp4", 24), ("mx_zero.mp4", 24)],
)  # fmt: skip
def test_its_frames_are_ffmpegs_and_its_rate_that_of_its_timestamps(video, decode_all, name, rate):
    decoded, expected = decode_frames(video(name), every), decode_all(video(name))
    assert np.array_equal(decoded.frames, expected)
    assert decoded.total_frames == len(expected)
    assert decoded.fps == pytest.approx(rate, rel=1e-9)


@pytest.mark.parametrize(("name", "mirror"), [("mx_hflip.mp4", np.s_[:, :, ::-1]), ("mx_vflip.mp4", np.s_[:, ::-1])])
def test_a_mirrored_clip_is_mirrored(video, decode_all, name, mirror):
    assert np.array_equal(decode_frames(video(name), every).frames, decode_all(video(name))[mirror])


@pytest.mark.parametrize(
    "name",
    ["anim.webp", "cat.ts", "clip-colon-1.mp4", "mpeg4_no_stss.mp4", "mx_hflip.mp4", "mx_vflip.mp4", "mx_zero.mp4", "n2.ts", "paff.ts",
     "r1000.mkv", "sar2.mp4", "vfr2.mp4", "vfr2.ts", "vfr2.webm"],
)  # fmt: skip
def test_played_frame_by_frame_it_is_the_same(video, name):
    decoded, played = decode_frames(video(name), every), list(play_frames(video(name)))
    assert np.array_equal(np.stack([frame for frame, _ in played]), decoded.frames)
    assert {rate for _, rate in played} == {decoded.fps}


def test_pixels_twice_as_wide_as_high_are_seen_as_stored_and_that_is_said(video):
    decoded = decode_frames(video("sar2.mp4"), every)
    assert decoded.frames.shape[1:3] == (128, 96) and "its pixels are 2:1" in decoded.notes[0]


def test_every_file_of_the_collection_is_looked_at_here(field_cases):
    text = Path(__file__).read_text(encoding="utf-8")
    assert [file.name for file in (field_cases / "video").iterdir() if file.name not in text] == []


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_fields_in_packets_of_their_own_make_frames_in_other_containers_too(video, decode_all, tmp_path, ending):
    with av.open(str(video("paff.ts"))) as given, av.open(str(tmp_path / f"paff.{ending}"), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    expected = decode_all(tmp_path / f"paff.{ending}")
    assert len(expected) == 24
    assert np.array_equal(decode_frames(tmp_path / f"paff.{ending}", every).frames, expected)


def test_a_sparse_choice_gives_the_same_frames_as_all(video, decode_all):
    for name in ("mpeg4_no_stss.mp4", "paff.ts", "cat.ts", "vfr2.mp4"):
        expected = decode_all(video(name))
        wanted = [0, len(expected) // 3, len(expected) - 1]
        assert np.array_equal(decode_frames(video(name), lambda total, fps, w=wanted: w).frames, expected[wanted]), name


def test_what_cannot_be_decoded_says_why(video):
    with pytest.raises(ClipError, match="this FFmpeg cannot decode"):
        decode_frames(video("unknown_fourcc.mp4"), every)
    with pytest.raises(ClipError, match="YCgCo, which is not supported"):
        decode_frames(video("mat_ycgco.mp4"), every)


def test_animated_webp_is_read(video):
    decoded = decode_frames(video("anim.webp"), every)
    assert decoded.total_frames > 1 and decoded.fps > 1
    assert np.abs(np.diff(decoded.frames.astype(int), axis=0)).max() > 0


def test_a_name_with_a_colon_is_a_file(video, tmp_path, monkeypatch):
    shutil.copy(video("clip-colon-1.mp4"), tmp_path / "clip:1.mp4")
    monkeypatch.chdir(tmp_path)
    with av.open(str(video("clip-colon-1.mp4"))) as container:
        count = sum(1 for _ in container.decode(video=0))
    assert decode_frames("clip:1.mp4", every).total_frames == count
