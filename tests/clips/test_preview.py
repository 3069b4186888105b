import av
import numpy as np
import pytest

from videoalign.clips import video_decoding
from videoalign.clips.preview import LEAST_SIDE, playable
from videoalign.clips.video_decoding import play_frames
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


@pytest.mark.parametrize(
    ("suffix", "codec", "pixels"),
    [
        (".mov", "mpeg4", "yuv420p"),
        (".mkv", "libx264", "yuv444p"),
        (".webm", "libvpx-vp9", "yuv444p"),
        (".avi", "mpeg4", "yuv420p"),
        (".gif", "gif", "rgb8"),
        (".mpg", "mpeg2video", "yuv420p"),
        (".ts", "libx264", "yuv420p"),
        (".wmv", "wmv2", "yuv420p"),
        (".flv", "flv", "yuv420p"),
    ],
)
def test_every_kind_of_video_that_is_scored_can_be_shown(tmp_path, suffix, codec, pixels):
    path = tmp_path / f"clip{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = pixels
        for number in range(6):
            picture = np.full((64, 64, 3), 20 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)))
        container.mux(stream.encode())
    frames, _ = read_video(playable(path, tmp_path / "previews"))
    levels = frames.reshape(len(frames), -1).mean(1)
    assert len(frames) in (5, 6) and list(levels) == sorted(levels) and levels[-1] - levels[0] > 70


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{path}\n#EXT-X-ENDLIST\n"),
        ("list.mp4", "ffconcat version 1.0\nfile secret.ts\n"),
        ("list.mkv", "ffconcat version 1.0\nfile secret.ts\n"),
    ],
)
def test_a_playlist_does_not_give_out_the_films_that_it_names(noise_clip, tmp_path, name, text):
    clip, _ = noise_clip()
    secret = tmp_path / "secret.ts"
    with av.open(str(clip)) as source, av.open(str(secret), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    (tmp_path / name).write_text(text.format(path=secret))
    with av.open(str(tmp_path / name)) as opened:  # FFmpeg itself follows it
        assert next(opened.decode(video=0))
    with pytest.raises(ClipError, match=name):
        playable(tmp_path / name, tmp_path / "previews")
    assert not list((tmp_path / "previews").glob("*.mp4"))


def test_a_large_clip_is_shown_smaller_and_a_long_one_whole(encode, tmp_path):
    copy = playable(encode("a.mkv", 3, size=(4096, 2304)), tmp_path / "previews")
    frames, fps = read_video(copy)
    assert frames.shape == (3, 1080, 1920, 3) and fps == 24
    # The white bar of the third frame reached from 8 to 16 pixels, now from 3.75 to 7.5.
    assert frames[2, 500, 1].max() < 100 and frames[2, 500, 5].min() > 150
    long, _ = read_video(playable(encode("b.mkv", 400, size=(256, 256)), tmp_path / "previews"))
    assert len(long) == 400


def test_frames_are_taken_one_by_one(encode, decode_all, monkeypatch):
    """That no more than one is held is measured in benchmarks/clip_memory.py; here: each is asked for by who takes it, the last one
    twice."""
    path = encode("a.mp4", 40)
    given = []
    inner = video_decoding.UprightRgb.__call__
    monkeypatch.setattr(
        video_decoding.UprightRgb, "__call__", lambda self, frame: given.append(0) or inner(self, frame)
    )
    for number, ((frame, rate), expected) in enumerate(zip(play_frames(path), decode_all(path), strict=True), 1):
        assert len(given) == number + 1 and rate == 24 and np.array_equal(frame, expected)


def test_the_missing_end_of_a_clip_is_said(encode, tmp_path):
    path = encode("a.mp4", 40, muxer={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(ClipError, match="truncated"):
        playable(path.rename(tmp_path / "a.mov"), tmp_path / "previews")
    assert not list((tmp_path / "previews").glob("*.mp4"))
