import numpy as np
import pytest
import torch

from videoalign.nodes.clip_frames import small_frames, spread
from videoalign.nodes.contact_sheet import contact_sheet
from videoalign.nodes.ranked_clip import Gates
from videoalign.nodes.ranking import rank
from videoalign.nodes.scored_clip import ScoredClip
from videoalign.reward.clip import Frames
from videoalign.reward.weights import RewardWeights


def clip(name, vq, colour=None, **about):
    frames = None if colour is None else np.full((4, 120, 160, 3), colour, np.uint8)
    return ScoredClip({"VQ": vq, "MQ": 0.0, "TA": 0.5, "Overall": vq + 0.5}, name=name, frames=frames, **about)


@pytest.mark.parametrize(
    ("total", "count", "expected"),
    [(9, 4, [0, 3, 5, 8]), (3, 4, [0, 1, 2]), (1, 4, [0]), (81, 4, [0, 27, 53, 80]), (9, 1, [4])],
)
def test_frames_are_spread_over_the_whole_clip(total, count, expected):
    assert spread(total, count) == expected


def test_small_frames_are_the_clips_own_in_order():
    pixels = torch.arange(9).float()[:, None, None, None].expand(9, 64, 96, 3) / 8
    frames = small_frames(Frames(pixels, 8.0))
    assert frames.shape == (4, 120, 180, 3) and frames.dtype == np.uint8
    assert [int(frame.mean().round()) for frame in frames] == [0, 96, 159, 255]


def test_small_frames_of_a_file_are_upright_and_as_many(clips):
    assert small_frames(clips / "s24_rot90_8fps_16f_320x240.mp4").shape == (4, 120, 90, 3)
    assert small_frames(clips / "s08_10fps_1f_96x64.mp4").shape[0] == 1


def test_the_contact_sheet_shows_the_winner_first_and_marked():
    ranking = rank([clip("low", -1.0, (200, 0, 0)), clip("high", 1.0, (0, 0, 200))], RewardWeights())
    sheet = contact_sheet(ranking)
    red, blue = ((sheet == colour).all(-1).nonzero()[0] for colour in ((200, 0, 0), (0, 0, 200)))
    assert blue.max() < red.min()
    gold = (sheet == (0xF2, 0xC1, 0x4E)).all(-1).nonzero()[0]
    assert gold.size and gold.max() < red.min()


def test_the_contact_sheet_draws_clips_without_frames_captions_or_passes():
    rows = [
        clip("from a file", 0.0),
        ScoredClip({"VQ": 9.0, "MQ": -9.0, "TA": None, "Overall": None}, name="x" * 300, seed=1),
    ]
    plain, gated = (contact_sheet(rank(rows, RewardWeights(), gates)) for gates in (Gates(), Gates({"VQ": 5.0})))
    assert plain.shape == gated.shape and plain.shape[1] >= 640
    assert (plain != gated).any()


def test_the_contact_sheet_writes_only_what_its_font_can_show(monkeypatch):
    """Pillow's own font has no glyph for a sigma, among others; a box would be drawn in its place."""
    from PIL import ImageDraw

    written = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda self, place, text, **_: written.append(text))
    bare = ScoredClip({"VQ": 0.0, "MQ": 0.0, "TA": None, "Overall": None}, name="long " * 80)
    contact_sheet(rank([clip("a", -1.0), bare], RewardWeights(), Gates({"VQ": -0.5})))
    assert len(written) > 12 and all(text.isascii() for text in written)
    assert any("VQ -1.00 sd is below -0.50 sd" in text for text in written)


@pytest.mark.parametrize("size", [(120, 160), (120, 480)])
def test_a_contact_sheet_of_many_stays_below_4096_pixels_and_says_how_many_more(size):
    frames = np.zeros((4, *size, 3), np.uint8)
    rows = [
        ScoredClip({"VQ": -place, "MQ": 0.0, "TA": 0.0, "Overall": 0.0}, f"x{place}", frames=frames)
        for place in range(200)
    ]
    sheet = contact_sheet(rank(rows, RewardWeights(), use_this="150"))
    assert max(sheet.shape) <= 4096
    blue = (sheet == (0x5D, 0xC4, 0x8C)).all(-1)
    assert sheet.shape[0] > 20 * 120 and not blue.all()


def test_a_contact_sheet_names_the_rest_and_keeps_a_persons_choice(monkeypatch):
    from PIL import ImageDraw

    written = []
    plain = ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        ImageDraw.ImageDraw,
        "text",
        lambda self, at, text, **how: (written.append(text), plain(self, at, text, **how))[1],
    )
    rows = [ScoredClip({"VQ": -place, "MQ": 0.0, "TA": 0.0, "Overall": 0.0}, name=f"x{place}") for place in range(30)]
    contact_sheet(rank(rows, RewardWeights.of(1, 0, 0), use_this="25"))
    assert "and 10 more, down to -29.00 sd" in written
    assert "YOURS" in written and "BEST" not in written and "candidate 25 of 30: x24" in written
