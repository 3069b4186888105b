"""A path is a file whatever its name, and a clip never makes anything else be opened."""

import io
import os
import shutil
import threading

import av
import numpy as np
import pytest

from videoalign.clips.opening import FORMATS, open_video
from videoalign.clips.video_decoding import decode_frames
from videoalign.errors import ClipError


def every(total, fps):
    return list(range(total))


@pytest.mark.parametrize(
    "name", ["clip:1.mp4", "2026-01-01T10:20:30.mp4", "file:x.mp4", "concat:a|b.mp4", "data:,x.mp4", "http:x.mp4", "-lead.mp4", "%03d.mp4"]
)  # fmt: skip
def test_a_name_that_looks_like_an_address_is_a_file(encode, tmp_path, monkeypatch, name):
    expected = decode_frames(encode("a.mp4", 6), every).frames
    shutil.copy(tmp_path / "a.mp4", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(decode_frames(name, every).frames, expected)
    assert np.array_equal(decode_frames(f"./{name}", every).frames, expected)


def test_a_playlist_that_names_another_film_is_refused_and_nothing_of_it_is_read(encode, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    film = shutil.copy(encode("a.ts", 24), outside / "film.ts")
    inside = tmp_path / "inside"
    inside.mkdir()
    lists = {
        "film.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{film}\n#EXT-X-ENDLIST\n",
        "film.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nfile://{film}\n#EXT-X-ENDLIST\n",
        "film.ffconcat": f"ffconcat version 1.0\nfile '{film}'\n",
        "film.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    }
    for name, text in lists.items():
        (inside / name).write_text(text)
        with pytest.raises(ClipError, match=r"cannot be decoded|not a video"):
            decode_frames(inside / name, every)
        with open(inside / name, "rb") as file, pytest.raises(ClipError):
            decode_frames(file, every)
    # the same list is followed where nothing forbids it: the test would not fail for another reason
    with av.open(str(inside / "film.m3u8"), options={"allowed_extensions": "ALL", "extension_picky": "0"}) as container:
        assert container.format.name == "hls"


def test_every_allowed_format_is_one_that_ffmpeg_knows_or_names_together_with_others():
    known = {part for name in av.formats_available for part in name.split(",")}
    # Some are of newer FFmpeg versions only.
    assert set(FORMATS.split(",")) - known <= {"vvc", "evc", "apv", "obu", "avif", "ipu", "kux", "live_flv"}
    assert not {"hls", "concat", "dash", "sdp", "rtsp", "rtp", "image2", "lavfi", "tty", "ffmetadata", "imf"} & set(
        FORMATS.split(",")
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_read_to_its_end(encode, tmp_path):
    path, pipe = encode("a.mp4", 6), tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()))
    writer.start()
    decoded = decode_frames(pipe, every)
    writer.join()
    assert np.array_equal(decoded.frames, decode_frames(path, every).frames)


def test_what_is_no_file_says_what_it_is(tmp_path):
    (tmp_path / "x.mp4").mkdir()
    with pytest.raises(ClipError, match=r"x\.mp4 is a folder"):
        decode_frames(tmp_path / "x.mp4", every)
    with pytest.raises(ClipError, match=r"address on the network; only files are read\. Download it first"):
        decode_frames("https://example.org/a.mp4", every)
    with pytest.raises(ClipError, match="device or a socket"):
        decode_frames("/dev/null", every)


def test_a_file_object_stands_where_it_stood(encode):
    with open(encode("a.mp4", 6), "rb") as file:
        file.seek(7)
        decode_frames(file, every)
        assert file.tell() == 7


def test_a_codec_without_a_decoder_is_an_error_of_that_clip(encode):
    path = encode("a.mp4", 6)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(ClipError, match=r"in a video format that this FFmpeg cannot decode; re-encode it as H\.264"):
        decode_frames(path, every)


def test_a_file_object_of_a_playlist_is_no_way_around(encode):
    text = io.BytesIO(f"#EXTM3U\n#EXTINF:1,\n{encode('a.ts', 6)}\n#EXT-X-ENDLIST\n".encode())
    with pytest.raises(av.FFmpegError):
        open_video(text)
