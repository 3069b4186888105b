"""The measurements through the judge's protocol: from files and memory, at the ends of what a clip can be, without OpenCV."""

import csv
import math
import sys
import tracemalloc
import types

import numpy as np
import pytest

from videoalign.clips.frames import Frames
from videoalign.clips.video_file import read_video
from videoalign.errors import ClipError
from videoalign.judges import JudgeError, JudgeOptions, open_judge
from videoalign.measures.clip_measures import DETAILS, DIMENSIONS
from videoalign.measures.opencv import OpenCVMissing, opencv
from videoalign.measures.trace import ClipWatcher
from videoalign.reward.scoring_stream import score_clips

try:
    import cv2
except ImportError:
    cv2 = None
needs_opencv = pytest.mark.skipif(cv2 is None, reason="the measurements need OpenCV: pip install '.[measure]'")


def measured(*clips):
    return score_clips(open_judge("measures"), clips, [None] * len(clips))


@needs_opencv
def test_a_file_is_measured_as_its_decoded_frames_to_the_last_digit(encode):
    path = encode("a.mp4", 24, pixels="yuv444p")
    frames, fps = read_video(path)
    from_file, from_bytes, from_floats = measured(path, Frames(frames, fps), Frames(frames / np.float32(255), fps))
    assert from_file.to_dict() == from_bytes.to_dict() == from_floats.to_dict()


@needs_opencv
def test_every_dimension_has_a_mark_in_its_range_and_none_is_one_for_the_whole(encode):
    judge = open_judge("measures")
    [marks] = measured(encode("a.mp4", 12))
    assert judge.overall is None and list(marks.marks) == [dimension.name for dimension in DIMENSIONS]
    assert not {"VQ", "MQ", "TA", "Overall"} & set(marks.marks)
    assert (
        [key for key in marks.to_dict() if key not in marks.marks]
        == [*judge.details]
        == [*DETAILS, "total_frames", "fps"]
    )
    assert not any(dimension.needs_caption for dimension in DIMENSIONS)


@needs_opencv
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (9, 64), (48, 80), (300, 400)])
@pytest.mark.parametrize("count", [2, 3, 20])
def test_clips_of_any_size_and_length_of_one_colour_or_of_noise_have_finite_marks_in_range(size, count):
    rng = np.random.default_rng(0)
    flat, noise = np.full((count, *size, 3), 90, np.uint8), rng.integers(0, 256, (count, *size, 3)).astype(np.uint8)
    for marks in measured(Frames(flat, 24.0), Frames(noise, 24.0), Frames(noise, 0.5)):
        for dimension in DIMENSIONS:
            mark = marks.marks[dimension.name]
            assert math.isfinite(mark), dimension.name
            assert dimension.lowest is None or mark >= dimension.lowest, dimension.name
            assert dimension.highest is None or mark <= dimension.highest, dimension.name
        assert all(math.isfinite(value) for value in marks.details.values())


@needs_opencv
def test_a_clip_of_one_colour_stands_still_and_is_nothing_else():
    [marks] = measured(Frames(np.full((8, 40, 60, 3), 128, np.uint8), 8.0))
    expected = {name: 0.0 for name in marks.marks} | {
        "flickering": 1,
        "still": 1,
        "uniform": 1,
        "freeze": 7 / 8,
        "late_start": 7 / 8,
    }
    assert marks.marks == expected


@needs_opencv
def test_a_single_picture_is_an_error_of_that_clip():
    with pytest.raises(ClipError, match="two frames or more"):
        measured(Frames(np.zeros((1, 40, 60, 3), np.uint8), 8.0))


@needs_opencv
def test_the_command_writes_the_marks_with_what_describes_the_clip(videoalign, small_clips, tmp_path):
    outcome = videoalign("score", small_clips, "--judge", "measures", "--output", tmp_path / "m.csv")
    assert outcome.status == 0
    with (tmp_path / "m.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [dimension.name for dimension in DIMENSIONS]
    assert list(rows[0]) == ["id", "path", "prompt", *names, *DETAILS, "total_frames", "fps", "error", "judge", "notes"]
    assert len(rows) == 4 and {row["judge"] for row in rows} == {"measures"}
    assert all(math.isfinite(float(row[name])) for row in rows for name in (*names, *DETAILS))
    lines = outcome.out.splitlines()
    assert max(map(len, lines)) <= 120  # names, values and units one below the other
    shown = [line.split()[:2] for line in lines]
    assert shown.count(["flickering", f"{float(rows[0]['flickering']):.4g}"]) >= 1 and "b.mp4" in outcome.out


@needs_opencv
def test_memory_does_not_grow_with_the_clip():
    rng = np.random.default_rng(0)

    def peak(count):
        watcher = ClipWatcher(count, 60.0)
        tracemalloc.start()
        for _ in range(count):
            watcher.see(rng.integers(0, 256, (240, 320, 3), np.uint8))
        reached = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return reached

    # A frame of these has 230 kB; of each its values are kept: some ten numbers as Python objects of 24 bytes, and lists' room.
    peak(3)
    assert peak(240) - peak(24) < 216 * 2048


def test_without_opencv_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)  # as where it is not installed: the import raises ModuleNotFoundError
    with pytest.raises(JudgeError, match=r"four packages.*pip install opencv-python-headless"):
        open_judge("measures")


def test_an_opencv_that_lost_its_files_is_told_from_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", types.ModuleType("cv2"))  # the folder that an uninstalled package leaves
    with pytest.raises(OpenCVMissing, match="empty folder"):
        opencv()


def test_options_that_it_cannot_follow_are_refused():
    with pytest.raises(JudgeError, match="has no source"):
        open_judge("measures:x")
    with pytest.raises(JudgeError, match="looks at every frame"):
        open_judge("measures", JudgeOptions(sampling={"num_frames": 4}))
