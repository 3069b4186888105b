"""``videoalign score`` with several judges: one file, one pass, resumed as with one judge; and one judge's file as ever."""

import csv
import json
import subprocess
import sys

import pytest

pytest.importorskip("cv2", reason="the judge measures needs OpenCV: pip install '.[measure]'")
PANEL = ("--judge", "videoreward:micro", "--judge", "measures", "--device", "cpu")
WORLD = ("--judge", "measures", "--judge", "micro-world", "--device", "cpu")
"""Of the small clips micro-world can measure none (they are no squares of 64 pixels, or too short)."""


@pytest.fixture
def rows(small_clips, manifest):
    return manifest(*((f"{name}.mp4", "two red circles move left over a plain grey ground") for name in "abcd"))


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_one_file_has_the_marks_of_all_judges_as_each_gives_them_alone(videoalign, rows, tmp_path):
    together, reward, measures = (tmp_path / f"{name}.jsonl" for name in ("together", "reward", "measures"))
    assert videoalign("score", "--manifest", rows, *PANEL, "--output", together).status == 0
    assert videoalign("score", "--manifest", rows, *PANEL[:2], "--device", "cpu", "--output", reward).status == 0
    assert videoalign("score", "--manifest", rows, *PANEL[2:], "--output", measures).status == 0
    for both, first, second in zip(read(together), read(reward), read(measures), strict=True):
        assert both.pop("judge") == "videoreward+measures" and first.pop("judge") == "videoreward"
        assert "measures.still" in both.pop("lower_is_better") and second.pop("judge") == "measures"
        shared = {"id", "path", "prompt", "total_frames", "fps"}
        assert both == first | {f"measures.{name}": cell for name, cell in second.items() if name not in shared}


def test_a_csv_has_a_column_for_each_judges_mark(videoalign, rows, tmp_path):
    output, lines = tmp_path / "scores.csv", tmp_path / "scores.jsonl"
    for file in (output, lines):
        assert videoalign("score", "--manifest", rows, *PANEL, "--output", file).status == 0
    with open(output, newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    for row, whole in zip(table, read(lines), strict=True):
        assert float(row["VQ"]) == whole["VQ"] and float(row["VQ_raw"]) == whole["raw"]["VQ"]
        assert float(row["measures.motion"]) == whole["measures.motion"]
        assert row["lower_is_better"].split() == whole["lower_is_better"] and row["errors"] == row["error"] == ""


@pytest.mark.parametrize("stopped_after", [0, 3])
def test_a_run_of_two_judges_that_was_stopped_ends_as_one_that_was_not(
    videoalign, rows, tmp_path, interrupt_after, stopped_after
):
    whole, parts = tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    call = ("score", "--manifest", rows, *PANEL, "--batch-size", "2")
    assert videoalign(*call, "--output", whole).status == 0
    interrupt_after(stopped_after)
    assert videoalign(*call, "--output", parts).status == 130 and not parts.exists()
    interrupt_after(None)
    again = videoalign(*call, "--output", parts)
    assert again.status == 0 and parts.read_bytes() == whole.read_bytes()
    assert (f"{stopped_after} of 4 rows are done already" in again.err) is bool(stopped_after)
    assert videoalign(*call[:-2], "--judge", "micro-world", "--output", parts).status == 1  # other judges, another file


def test_a_row_without_one_judges_marks_counts_as_failed_keeps_the_others_and_is_tried_again(
    videoalign, rows, tmp_path
):
    output = tmp_path / "scores.jsonl"
    outcome = videoalign("score", "--manifest", rows, *WORLD, "--output", output)
    assert outcome.status == 1 and "4 of 4 rows lack the marks of a judge" in outcome.err
    assert "no marks of micro-world" in outcome.out
    before = read(output)
    for row in before:
        assert "error" not in row and list(row["errors"]) == ["micro-world"]
        assert row["micro-world.Overall"] is None and row["measures.motion"] is not None
    again = videoalign("score", "--manifest", rows, *WORLD, "--output", output)
    assert "done already" not in again.err and read(output) == before


def test_a_single_judge_writes_the_file_that_model_writes(videoalign, rows, tmp_path):
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for file, named in zip(files, (("--judge", "videoreward:micro"), ("--model", "micro")), strict=True):
        assert videoalign("score", "--manifest", rows, *named, "--device", "cpu", "--output", file).status == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    assert "lower_is_better" not in files[0].read_text(encoding="utf-8")


def test_judges_that_do_not_exist_are_refused_at_once(videoalign, small_clips):
    outcome = videoalign("score", small_clips, "--judge", "measures", "--judge", "nobody")
    assert outcome.status == 2 and "no judge 'nobody'" in outcome.err


ELSEWHERE = (
    "import pathlib, sys; from videoalign.files.claims import Claims\n"
    "with Claims(pathlib.Path(sys.argv[1])): print('there', flush=True); sys.stdin.readline()"
)


def test_processes_share_the_rows_of_a_panel_as_they_do_of_one_judge(videoalign, rows, tmp_path, monkeypatch):
    whole, shared = tmp_path / "whole.csv", tmp_path / "shared.csv"
    call = ("score", "--manifest", rows, *PANEL, "--batch-size", "1")
    assert videoalign(*call, "--output", whole).status == 0
    monkeypatch.setenv("WORLD_SIZE", "2")
    elsewhere = [sys.executable, "-c", ELSEWHERE, str(tmp_path / "shared.csv.run")]
    with subprocess.Popen(elsewhere, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "there\n"
        monkeypatch.setenv("RANK", "1")
        assert videoalign(*call, "--output", shared).status == 0
        assert not shared.exists()  # the last one writes
        other.communicate("\n")
    monkeypatch.setenv("RANK", "0")
    assert videoalign(*call, "--output", shared).status == 0
    assert shared.read_bytes() == whole.read_bytes()
