"""``videoalign measure``: its table, the values over time, and the page as a browser reads it."""

import base64
import csv
import io
import json
import re
import sys

import numpy as np
import pytest
from PIL import Image

from videoalign.clips.video_file import write_video
from videoalign.measures.clip_measures import DETAILS, DIMENSIONS
from videoalign.measures.filmstrip import (
    LONGEST_CURVE,
    Film,
    FilmWatcher,
    _bands,
    _findings,
    _ticks,
    read_film,
    write_filmstrips,
)

pytest.importorskip("cv2", reason="the measurements need OpenCV: pip install '.[measure]'")


@pytest.fixture
def planted(window, texture, tmp_path):
    """A clip at 8 frames a second: ten frames of a pan, four that stand still, a cut, eight of another shot, two black."""
    other = np.ascontiguousarray(255 - texture[:256, :320] // 3)
    frames = [window(6 * number) for number in range(10)]
    frames += [frames[-1]] * 4 + [np.roll(other, 4 * number, 1) for number in range(8)] + [np.zeros_like(other)] * 2
    path = tmp_path / "a <b> & c.mp4"
    write_video(path, np.stack(frames), 8)
    return path


def test_a_table_of_all_measurements_with_units_and_directions(videoalign, planted, small_clips):
    outcome = videoalign("measure", planted, small_clips / "c.mp4")
    assert outcome.status == 0
    rows = {
        line[2:].split()[0]: line
        for line in outcome.out.splitlines()
        if re.match(r"[+-]? +\w+ +[\d.e-]+ +[\d.e-]+ ", line)
    }
    assert list(rows) == [*(one.name for one in DIMENSIONS), *DETAILS]
    assert rows["cuts"].split()[2:4] == ["2", "0"] and rows["motion"].startswith("+") and rows["shake"].startswith("-")
    assert max(map(len, outcome.out.splitlines())) <= 140


def test_the_values_over_time_are_a_row_a_frame(videoalign, planted, tmp_path):
    assert videoalign("measure", planted, "--output", tmp_path / "t.csv").status == 0
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in rows] == list(range(24)) and rows[8]["seconds"] == "1.0"
    assert [number for number, row in enumerate(rows) if row["cut"] == "1"] == [14, 22]
    assert [number for number, row in enumerate(rows) if row["still"] == "1"] == [10, 11, 12, 13, 23]
    assert [number for number, row in enumerate(rows) if row["black"] == "1"] == [22, 23]
    assert rows[0]["difference"] == rows[0]["speed"] == ""
    # A pan of 6 pixels of 256 a frame, at 8 frames a second; the flow's tolerance as in test_motion.
    assert float(rows[5]["camera_x"]) == pytest.approx(-6 * 8 / 256, abs=0.2 * 8 / 256)


def test_the_page_shows_frames_curves_and_marks_where_they_are(videoalign, planted, tmp_path):
    page = tmp_path / "film.html"
    assert videoalign("measure", planted, "--page", page).status == 0
    text = page.read_text(encoding="utf-8")
    assert "a &lt;b&gt; &amp; c.mp4" in text and "<b>" not in text
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    assert len(pictures) == 8
    assert Image.open(io.BytesIO(base64.b64decode(pictures[0]))).size == (320, 256)
    assert "cut at 1.75 s" in text and "stands still from 1.12 to 1.75 s" in text and "2 frames black" in text
    cuts = re.findall(r'class="cut" style="left: ([\d.]+)%', text)
    assert {round(float(left) * 24 / 100, 2) for left in cuts} == {14, 22} and len(cuts) == 2 * 5
    values = [json.loads(one.replace("&#34;", '"')) for one in re.findall(r'data-values="([^"]+)"', text)]
    assert [len(lines) for lines in values] == [2, 1, 1, 1, 1]
    assert [len(lines[0]) for lines in values] == [23 - 2, 23, 24, 24, 24]  # of motion, the pairs without a cut
    assert not re.search(r"https?://", text)


def test_a_clip_that_cannot_be_measured_is_told_of_and_the_others_go_on(videoalign, planted, tmp_path):
    outcome = videoalign("measure", tmp_path / "none.mp4", planted)
    assert outcome.status == 1 and "none.mp4 does not exist" in outcome.err and "flickering" in outcome.out


def test_wrong_use_is_one_sentence(videoalign, planted, tmp_path, monkeypatch):
    assert "give at least one clip" in videoalign("measure").err
    assert "must end in .csv" in videoalign("measure", planted, "--output", tmp_path / "t.txt").err
    monkeypatch.setitem(sys.modules, "cv2", None)
    outcome = videoalign("measure", planted)
    assert outcome.status == 1 and outcome.err.count("\n") == 1 and "pip install opencv-python-headless" in outcome.err


def test_a_long_clip_has_curves_of_bounded_length_and_eight_pictures(tmp_path):
    count = 2 * LONGEST_CURVE + 1
    watcher = FilmWatcher(count, 240.0)
    for number in range(count):
        watcher.see(np.full((16, 16, 3), number % 256, np.uint8))
    film = Film("long", watcher.trace, watcher.pictures)
    assert len(watcher.pictures) == 8
    text = write_filmstrips(tmp_path / "long.html", [film]).read_text(encoding="utf-8")
    assert max(len(points.split()) for points in re.findall(r'points="([^"]*)"', text)) <= LONGEST_CURVE


def test_clips_of_two_frames_of_one_colour_have_a_page(tmp_path, traced):
    path = tmp_path / "two.mp4"
    write_video(path, np.full((2, 32, 48, 3), 200, np.uint8), 24)
    film = read_film(path)
    assert [index for index, _ in film.pictures] == [0, 1]
    assert {band["kind"] for band in _bands(film.trace)} == {"still", "uniform"}
    assert _findings(film.trace) == ["stands still from 0.00 to 0.08 s", "2 frames of one colour"]
    write_filmstrips(tmp_path / "two.html", [film])


@pytest.mark.parametrize("duration", [0.04, 0.5, 1.0, 5.33, 61.0, 7200.0, 1e6])
def test_the_axis_has_at_most_nine_round_times(duration):
    ticks = _ticks(duration)
    assert 1 <= len(ticks) <= 9 and all(0 <= float(tick["left"]) <= 97 for tick in ticks)
