"""Exactly the sampled frames are decoded, as a player shows them, from every kind of source and container."""

import io
import struct
import threading
from fractions import Fraction

import av
import numpy as np
import pytest

from videoalign.clips import video_decoding
from videoalign.clips.video_decoding import decode_frames
from videoalign.reward.scoring_stream import Request, score_stream


def every(total, fps):
    return list(range(total))


def pick(*indices):
    return lambda total, fps: list(indices)


@pytest.fixture
def counted(monkeypatch):
    """Counts frames that leave the decoder, and frames that are converted to RGB."""
    counts = {"decoded": 0, "converted": 0}
    convert, open_file, sparsely = video_decoding.UprightRgb.__call__, av.open, video_decoding._decode_sparsely

    class Counting:
        def __init__(self, *given, **options):
            self._container = open_file(*given, **options)

        def __getattr__(self, name):
            return getattr(self._container, name)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self._container.close()

        def decode(self, stream):
            for frame in self._container.decode(stream):
                counts["decoded"] += 1
                yield frame

    def counting_sparsely(container, stream, times):
        for frame in sparsely(container._container, stream, times):
            counts["decoded"] += 1
            yield frame

    def counting_convert(self, frame):
        counts["converted"] += 1
        return convert(self, frame)

    monkeypatch.setattr(video_decoding.UprightRgb, "__call__", counting_convert)
    monkeypatch.setattr(video_decoding, "_decode_sparsely", counting_sparsely)
    monkeypatch.setattr(av, "open", Counting)
    return counts


def test_only_the_sampled_frames_are_converted_and_kept(clips, counted):
    decoded = decode_frames(clips / "s09_12fps_360f_160x96.mp4", pick(0, 100, 359))
    assert decoded.frames.shape == (3, 96, 160, 3)
    assert (decoded.total_frames, decoded.indices) == (360, [0, 100, 359])
    assert counted["converted"] == 3


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("pyramid.mp4", "libx264", {"g": "100", "bf": "3"}),
        ("open.mp4", "libx264", {"g": "24", "bf": "2", "x264-params": "open-gop=1"}),
        ("refs.mkv", "libx264", {"g": "60", "bf": "4", "b-pyramid": "normal", "refs": "4"}),
        ("part2.mp4", "mpeg4", {"g": "40", "bf": "2"}),
        ("old.mkv", "mpeg2video", {"g": "15", "bf": "2"}),
    ],
)
def test_frames_that_nothing_builds_on_are_left_out_and_the_others_are_the_same(
    encode, decode_all, request, name, codec, options
):
    path = encode(name, 90, codec=codec, options=options)
    wanted = [0, 17, 18, 44, 61, 89]
    expected = decode_all(path)[wanted]
    counted = request.getfixturevalue("counted")
    assert np.array_equal(decode_frames(path, pick(*wanted)).frames, expected)
    assert len(wanted) <= counted["decoded"] < 80


def test_an_open_container_decodes_all_frames_again_afterwards(encode):
    path = encode("pyramid.mp4", 60, options={"g": "100", "bf": "3"})
    with av.open(str(path)) as container:
        decode_frames(container, pick(0, 30))
        assert container.streams.video[0].codec_context.skip_frame == "DEFAULT"
        assert sum(1 for _ in container.decode(video=0)) == 60


def test_a_clip_with_many_keyframes_is_decoded_by_seeking(encode, decode_all, request):
    path = encode("keys.mp4", 240, options={"g": "8", "bf": "0"})
    wanted = [0, 79, 160, 239]
    expected = decode_all(path)[wanted]
    counted = request.getfixturevalue("counted")
    assert np.array_equal(decode_frames(path, pick(*wanted)).frames, expected)
    assert counted["converted"] == 4
    assert counted["decoded"] <= 4 * 8


def test_a_frame_asked_for_twice_is_converted_once(clips, counted):
    decoded = decode_frames(clips / "s05_10fps_3f_96x64.mp4", pick(0, 2, 2))
    assert np.array_equal(decoded.frames[1], decoded.frames[2])
    assert counted["converted"] == 2


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("b_frames.mp4", {"options": {"bf": "3", "g": "12"}}),
        ("open_gop.mp4", {"options": {"x264-params": "keyint=8:open-gop=1:bframes=3"}}),
        ("fragments.mp4", {"muxer": {"movflags": "frag_keyframe+empty_moov"}}),
        ("a.mkv", {"options": {"g": "6"}}),
        ("a.webm", {"codec": "libvpx-vp9", "options": {"g": "6"}}),
        ("vp8.webm", {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}}),
        ("a.avi", {"codec": "mpeg4", "options": {"bf": "2"}}),
        ("a.ts", {"options": {"bf": "2", "g": "6"}}),
        ("a.mpg", {"codec": "mpeg2video", "rate": 25}),
        ("a.h264", {"options": {"bf": "2"}}),
        ("a.gif", {"codec": "gif", "pixels": "rgb8", "rate": 10}),
        ("a.mov", {"codec": "mjpeg", "pixels": "yuvj420p"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_container_gives_its_frames_by_their_place_in_the_film(encode, decode_all, name, options):
    path = encode(name, 40, **options)
    whole = decode_all(path)
    assert len(whole) == 40
    wanted = [0, 1, 13, 26, 38, 39]
    decoded = decode_frames(path, pick(*wanted))
    assert decoded.total_frames == 40
    assert np.array_equal(decoded.frames, whole[wanted])


def test_a_file_object_is_read_from_its_beginning_and_put_back_where_it_stood(clips):
    path = clips / "s05_10fps_3f_96x64.mp4"
    expected = decode_frames(path, every).frames
    stream = io.BytesIO()
    stream.write(path.read_bytes())
    end = stream.tell()
    for _ in range(2):
        assert np.array_equal(decode_frames(stream, every).frames, expected)
        assert stream.tell() == end
    with path.open("rb") as file:
        assert np.array_equal(decode_frames(file, every).frames, expected)
        assert not file.closed and file.tell() == 0


def test_a_pipe_that_cannot_be_rewound_is_decoded_too(clips):
    class Pipe:
        def __init__(self, content):
            self._content = io.BytesIO(content)

        def read(self, size=-1):
            return self._content.read(size)

    path = clips / "s22_16fps_33f_832x480.mp4"
    assert np.array_equal(
        decode_frames(Pipe(path.read_bytes()), pick(0, 32)).frames, decode_frames(path, pick(0, 32)).frames
    )


@pytest.mark.parametrize("name", ["s05_10fps_3f_96x64.mp4", "s23_24fps_121f_704x480.mp4"])
def test_an_open_container_works_wherever_it_stands_and_stays_open_at_its_first_frame(clips, name):
    expected = decode_frames(clips / name, pick(0, 2))
    with av.open(str(clips / name)) as container:
        frames = container.decode(video=0)
        next(frames), next(frames)
        for _ in range(2):
            decoded = decode_frames(container, pick(0, 2))
            assert np.array_equal(decoded.frames, expected.frames)
            assert decoded.total_frames == expected.total_frames
        assert sum(1 for _ in container.decode(video=0)) == expected.total_frames


def test_one_open_file_in_many_requests_is_read_by_one_thread_at_a_time(official, clips):
    model = official.model("full.fp32")
    [alone] = model.score([clips / "s05_10fps_3f_96x64.mp4"], [None])
    busy = threading.Lock()

    class Watched(io.BytesIO):
        def read(self, size=-1):
            assert busy.acquire(blocking=False), "two threads read at once"
            try:
                return super().read(size)
            finally:
                busy.release()

    stream = Watched((clips / "s05_10fps_3f_96x64.mp4").read_bytes())
    results = [result for _, result in score_stream(model, [Request(stream)] * 6, batch_size=3, decode_threads=3)]
    assert results == [[alone]] * 6


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (270, 3)])
def test_a_rotated_clip_is_turned_upright(clips, tmp_path, degrees, turns):
    lying = decode_frames(clips / "s02_8fps_16f_320x240.mp4", every).frames  # the same pictures as in s24
    content = bytearray((clips / "s24_rot90_8fps_16f_320x240.mp4").read_bytes())
    matrix = content.find(b"tkhd") + 4 + 40  # behind version, times, ids, duration, layer and volume
    quarter = struct.unpack(">9i", content[matrix : matrix + 36])
    turned = {
        90: quarter,
        180: (-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30),
        270: (*(-value for value in quarter[:8]), quarter[8]),
    }
    content[matrix : matrix + 36] = struct.pack(">9i", *turned[degrees])
    (tmp_path / "turned.mp4").write_bytes(content)
    decoded = decode_frames(tmp_path / "turned.mp4", every).frames
    # The direction of the quarter is the recorded official one (test_official_inputs.py compares its digest).
    assert np.array_equal(decoded, np.rot90(lying, turns, axes=(1, 2)))


@pytest.mark.parametrize(
    ("name", "codec"),
    [("vfr.mkv", "libx264"), ("vfr.mp4", "libx264"), ("vfr.ts", "libx264"), ("vfr.webm", "libvpx-vp9")],
)
def test_a_variable_rate_is_that_of_the_timestamps_in_every_container(encode, decode_all, name, codec):
    times = [0, 1, 2, 10, 11, 12, 30, 31, 32, 33]
    path = encode(name, 10, codec=codec, rate=25, times=times, options={"bf": "0"} if codec == "libx264" else None)
    decoded = decode_frames(path, every)
    assert decoded.total_frames == 10
    assert np.array_equal(decoded.frames, decode_all(path))
    assert decoded.fps == pytest.approx(
        9 / (33 / 25), rel=1e-3
    )  # a millisecond of 1.32 s, which is Matroska's time base


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60), Fraction(16)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi", "a.webm"])
def test_an_even_rate_is_the_stated_one_to_the_last_digit(encode, name, rate):
    codec = {"a.avi": "mpeg4", "a.webm": "libvpx-vp9"}.get(name, "libx264")
    decoded = decode_frames(encode(name, 30, codec=codec, rate=rate), pick(0))
    # AVI writes 24000/1001 as microseconds a frame; all others keep the fraction.
    assert decoded.fps == pytest.approx(float(rate), rel=1e-6 if name == "a.avi" else 1e-12)


def test_a_matroska_clip_that_starts_late_is_no_truncation(encode):
    path = encode("late.mkv", 24, rate=25, times=list(range(100, 124)))
    decoded = decode_frames(path, pick(0, 23))
    assert (decoded.total_frames, decoded.fps) == (24, 25.0)


def test_a_given_frame_rate_overrides_the_one_of_the_file(clips):
    seen = []
    decode_frames(
        clips / "s05_10fps_3f_96x64.mp4", lambda total, fps: seen.append(fps) or [0], fps=Fraction(24000, 1001)
    )
    assert seen == [pytest.approx(23.976, abs=1e-3)]


def test_an_edit_list_that_cuts_off_the_end_is_no_truncation(encode, decode_all):
    path = encode("trimmed.mp4", 240, options={"g": "12", "bf": "2"})
    content = bytearray(path.read_bytes())
    entry = content.find(b"elst") + 12
    assert entry > 12
    length = struct.unpack(">I", content[entry : entry + 4])[0]
    content[entry : entry + 4] = struct.pack(">I", length // 5)
    path.write_bytes(content)
    whole = decode_all(path)
    assert len(whole) < 60
    decoded = decode_frames(path, every)
    assert decoded.total_frames == len(whole)
    assert np.array_equal(decoded.frames, whole)


def test_titles_that_are_not_utf8_do_not_keep_a_clip_from_being_read(encode):
    path = encode("titled.mp4", title="TITLEXX")
    content = path.read_bytes()
    assert content.count(b"TITLEXX") == 1
    path.write_bytes(content.replace(b"TITLEXX", b"TITLE\xff\xfe"))
    assert decode_frames(path, pick(0, 5)).total_frames == 24
