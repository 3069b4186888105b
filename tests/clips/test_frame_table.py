"""Frames are counted as a player shows them, and key frames are verified."""

import weakref

import av
import numpy as np
import pytest

from videoalign.clips.video_decoding import decode_frames
from videoalign.errors import ClipError


def every(total, fps):
    return list(range(total))


def pick(*indices):
    return lambda total, fps: list(indices)


@pytest.mark.parametrize(
    ("codec", "options"), [("mpeg4", {"g": "100"}), ("libx264", {"g": "100"}), ("libx264", {"g": "6", "bf": "2"})]
)
def test_a_muxer_that_calls_every_packet_a_keyframe_does_not_give_garbage(encode, decode_all, codec, options):
    path = encode("a.mp4", 40, codec=codec, options=options)
    content = path.read_bytes()
    assert content.count(b"stss") == 1
    path.write_bytes(content.replace(b"stss", b"free"))  # without the table of key frames every one is said to be one
    if codec == "mpeg4":  # of H.264 FFmpeg looks at the packets themselves
        with av.open(str(path)) as container:
            assert all(packet.is_keyframe for packet in container.demux(video=0) if packet.size)
    wanted = [0, 13, 27, 39]
    assert np.array_equal(decode_frames(path, pick(*wanted)).frames, decode_all(path)[wanted])


def test_two_transport_streams_one_after_the_other_are_one_clip(encode, tmp_path):
    first, second = encode("a.ts", 12, options={"bf": "2"}), encode("b.ts", 9, size=(64, 48), options={"g": "4"})
    path = tmp_path / "both.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    with av.open(str(path)) as container:
        expected = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    decoded = decode_frames(path, every)
    assert decoded.total_frames == 21
    assert np.array_equal(decoded.frames, expected)
    assert decoded.fps == 24.0


def test_a_transport_stream_that_lost_packets_is_still_damaged(encode):
    path = encode("a.ts", 48, size=(256, 192), options={"g": "12", "crf": "10"})
    content = path.read_bytes()
    packets = [content[start : start + 188] for start in range(0, len(content), 188)]
    del packets[len(packets) // 2 : len(packets) // 2 + 5]
    path.write_bytes(b"".join(packets))
    with pytest.raises(ClipError, match="damaged"):
        decode_frames(path, every)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "frames"), [("a.mkv", "libx264", 1000, 12), ("a.ogv", "libtheora", 12, 8)]
)
def test_a_clip_whose_container_states_no_average_has_the_rate_of_its_frames(encode, name, codec, rate, frames):
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    decoded = decode_frames(encode(name, frames, codec=codec, rate=rate), every)
    assert (decoded.total_frames, decoded.fps) == (frames, pytest.approx(rate, rel=1e-9))


def test_a_transport_stream_of_two_frames_has_a_rate(tmp_path):
    path, noise = tmp_path / "two.ts", np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 192, 128, "yuv420p"
        for _ in range(2):
            picture = noise.integers(0, 256, (128, 192, 3)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate is None
    decoded = decode_frames(path, every)
    assert (decoded.total_frames, decoded.fps) == (2, 24.0)


def test_the_frames_of_a_large_clip_are_never_in_memory_together(encode):
    alive, most = [], 0

    def shrink(picture):
        nonlocal most
        alive.append(weakref.ref(picture))
        most = max(most, sum(reference() is not None for reference in alive))
        return picture[::8, ::8].copy()

    decoded = decode_frames(encode("a.mp4", 30), every, convert=shrink)
    assert decoded.frames.shape == (30, 6, 8, 3)
    assert most <= 2


def remuxed(source, target, first_keyframe=0):
    """Its packets from the n-th keyframe on in another container, nothing encoded anew."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        keyframes = -1
        for packet in given.demux(given.streams.video[0]):
            keyframes += packet.is_keyframe and packet.size > 0
            if packet.dts is not None and keyframes >= first_keyframe:
                packet.stream = stream
                made.mux(packet)
    return target


@pytest.mark.parametrize(("codec", "options"), [
    ("libx265", {"x265-params": "keyint=12:min-keyint=12:open-gop=1:bframes=3:b-adapt=0:scenecut=0:log-level=none"}),
    ("libx264", {"x264-params": "keyint=12:min-keyint=12:open-gop=1:bframes=3:b-adapt=0:scenecut=0"}),
])  # fmt: skip
@pytest.mark.parametrize("ending", ["ts", "mkv", "mp4"])
def test_a_stream_that_was_cut_where_pictures_build_on_earlier_ones_shows_the_others(
    encode, decode_all, tmp_path, codec, options, ending
):
    """The pictures that come after the first keyframe and are shown before it need what was cut off."""
    whole = encode("whole.ts" if ending == "ts" else "whole.mp4", 48, codec=codec, options=options)
    cut = remuxed(whole, tmp_path / f"cut.{ending}", first_keyframe=1)
    shown = decode_all(cut)
    decoded = decode_frames(cut, every)
    assert 30 < len(shown) < 48 and np.array_equal(decoded.frames, shown)
    assert decoded.fps == pytest.approx(24, rel=1e-6)
    [last] = decode_frames(cut, lambda total, fps: [total - 1]).frames
    assert np.array_equal(last, shown[-1])
