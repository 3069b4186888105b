"""Pictures are shown as a player shows them: turned, mirrored, on black where they are transparent."""

import struct

import av
import numpy as np
import pytest

from videoalign.clips.upright_rgb import on_black, upright
from videoalign.clips.video_decoding import decode_frames
from videoalign.errors import ClipError

ONE, W = 1 << 16, 1 << 30
# By the standard's formula: the stored point (p, q) is shown at (a p + c q, b p + d q).
MATRICES = {
    "identity": ((1, 0, 0, 1), lambda picture: picture),
    "mirrored": ((-1, 0, 0, 1), lambda picture: picture[:, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda picture: picture[::-1]),
    "half a turn": ((-1, 0, 0, -1), lambda picture: picture[::-1, ::-1]),
    "quarter, clockwise": ((0, 1, -1, 0), lambda picture: np.rot90(picture, -1)),
    "quarter, anticlockwise": ((0, -1, 1, 0), lambda picture: np.rot90(picture, 1)),
    "transposed": ((0, 1, 1, 0), lambda picture: picture.transpose(1, 0, 2)),
    "transposed, other diagonal": ((0, -1, -1, 0), lambda picture: np.rot90(picture, 2).transpose(1, 0, 2)),
    "zero": ((0, 0, 0, 0), lambda picture: picture),
}


def every(total, fps):
    return list(range(total))


def with_matrix(path, a, b, c, d):
    """Write a display matrix into the (only) track header of an MP4."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40
    assert struct.unpack(">9i", content[start : start + 36]) == (ONE, 0, 0, 0, ONE, 0, 0, 0, W)
    content[start : start + 36] = struct.pack(">9i", a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, W)
    path.write_bytes(content)


@pytest.mark.parametrize("name", MATRICES)
def test_the_whole_display_matrix_counts(encode, decode_all, name):
    (a, b, c, d), expected = MATRICES[name]
    path = encode("a.mp4", 4)
    stored = decode_all(path)
    with_matrix(path, a, b, c, d)
    shown = decode_frames(path, every).frames
    assert np.array_equal(shown, np.stack([expected(picture) for picture in stored]))


@pytest.mark.parametrize("name", MATRICES)
def test_each_pixel_goes_where_the_formula_of_the_matrix_puts_it(name):
    (a, b, c, d), _ = MATRICES[name]
    if (a, b, c, d) == (0, 0, 0, 0):
        return
    picture = np.arange(2 * 3 * 1, dtype=np.uint8).reshape(2, 3, 1)
    points = {(a * p + c * q, b * p + d * q): picture[q, p, 0] for q in range(2) for p in range(3)}
    left, top = min(x for x, _ in points), min(y for _, y in points)
    shown = upright(picture, (a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, W))
    assert {(x - left, y - top): value for (x, y), value in points.items()} == {
        (x, y): shown[y, x, 0] for y in range(shown.shape[0]) for x in range(shown.shape[1])
    }


def test_transparent_parts_are_black_and_the_colour_under_them_does_not_count():
    picture = np.array([[[200, 100, 50, 255], [200, 100, 50, 0], [200, 100, 50, 128]]], np.uint8)
    assert on_black(picture).tolist() == [[[200, 100, 50], [0, 0, 0], [100, 50, 25]]]


@pytest.mark.parametrize(
    ("name", "codec", "pixels"), [("a.mov", "qtrle", "argb"), ("a.mkv", "ffv1", "bgra"), ("a.mov", "png", "rgba")]
)
def test_a_clip_with_transparency_is_seen_on_black(tmp_path, name, codec, pixels):
    path, alpha = tmp_path / name, np.zeros((32, 48), np.uint8)
    alpha[:, :24] = 255
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=8)
        stream.width, stream.height, stream.pix_fmt = 48, 32, pixels
        for level in (90, 180):
            picture = np.dstack([np.full((32, 48, 3), level, np.uint8), alpha])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgba").reformat(format=pixels)))
        container.mux(stream.encode())
    frames = decode_frames(path, every).frames
    assert (frames[:, :, 24:] == 0).all()
    assert frames[0, :, :24].mean() == pytest.approx(90, abs=1) and frames[1, :, :24].mean() == pytest.approx(
        180, abs=1
    )


@pytest.mark.parametrize(
    ("matrix", "name"),
    [("YCgCo", "YCgCo"), ("bt2020c", "BT.2020 constant luminance"), ("smpte2085", "SMPTE 2085"), ("ICtCp", "ICtCp"),
     ("chroma-derived-nc", "chromaticity-derived"), ("chroma-derived-c", "chromaticity-derived")],
)  # fmt: skip
def test_a_colour_matrix_that_cannot_be_converted_says_which(encode, matrix, name):
    path = encode("a.mp4", 4, options={"x264-params": f"colormatrix={matrix}"})
    with pytest.raises(ClipError, match=rf"colour matrix {name}, which is not supported; re-encode it as BT\.709"):
        decode_frames(path, every)


def test_a_pixel_format_and_a_matrix_that_change_midway_are_followed(encode, tmp_path):
    """Three streams, one after the other; H.264 tells its format anew at each key frame."""
    kinds = [
        ("yuv420p", "colormatrix=bt709"),
        ("yuv444p", "colormatrix=smpte170m"),
        ("yuv420p", "colormatrix=bt709:fullrange=on"),
    ]
    parts = [
        encode(f"{number}.h264", 6, pixels=pixels, options={"x264-params": matrix})
        for number, (pixels, matrix) in enumerate(kinds)
    ]
    (tmp_path / "all.h264").write_bytes(b"".join(part.read_bytes() for part in parts))
    expected = np.concatenate([decode_frames(part, every, fps=24).frames for part in parts])
    assert not np.array_equal(expected[:6], expected[6:12]) and not np.array_equal(expected[:6], expected[12:])
    assert np.array_equal(decode_frames(tmp_path / "all.h264", every, fps=24).frames, expected)


def test_pixels_that_are_not_square_are_seen_as_stored_and_that_is_said(encode):
    plain, wide = encode("a.mp4", 4), encode("b.mp4", 4, options={"aspect": "2"})
    with av.open(str(wide)) as container:
        assert container.streams.video[0].sample_aspect_ratio == 2
    decoded = decode_frames(wide, every)
    assert decoded.frames.shape[1:3] == decode_frames(plain, every).frames.shape[1:3]
    assert decoded.notes == ("its pixels are 2:1, not square: it is seen as stored, as the official code does",)
    assert decode_frames(plain, every).notes == ()


@pytest.mark.parametrize(("transfer", "name"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
def test_high_dynamic_range_is_said_not_to_be_mapped(encode, transfer, name):
    path = encode("a.mp4", 4, options={"x264-params": f"transfer={transfer}:colorprim=bt2020:colormatrix=bt2020nc"})
    [note] = decode_frames(path, every).notes
    assert f"high dynamic range ({name})" in note
