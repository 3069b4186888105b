import csv
import json

import pytest

from videoalign.errors import VideoAlignError
from videoalign.evaluation.scoring.score_journal import write_csv, write_jsonl
from videoalign.nodes.score_file import append_scores, read_scores, score_path
from videoalign.nodes.scored_clip import ScoredClip

FULL = ScoredClip(
    {"VQ": 0.5, "MQ": -0.25, "TA": 1.0, "Overall": 1.25}, name="clip", prompt='a "red", round\nball', model="m", seed=2**63 + 1,
    total_frames=17, fps=8.0, raw={"VQ": 4.8, "MQ": 0.8, "TA": 5.3}, path="/x/clip.mp4",
)  # fmt: skip
NOTES = ("its pixels are 2:1, not square: it is seen as stored", "it has high dynamic range (PQ)")
NOTED = ScoredClip({"VQ": 0.1, "MQ": 0.2, "TA": None, "Overall": None}, name="noted", notes=NOTES)
BARE = ScoredClip({"VQ": 0.1, "MQ": 0.2, "TA": None, "Overall": None}, name="bare")


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_what_was_appended_is_read_back(tmp_path, ending):
    path = tmp_path / "deep" / f"scores.{ending}"
    assert append_scores(path, [FULL]) == 1
    assert append_scores(path, [BARE, FULL]) == 3
    assert append_scores(path, [NOTED]) == 4
    assert read_scores(path) == (FULL, BARE, FULL, NOTED)


def test_a_csv_has_one_header_and_a_time_for_each_row(tmp_path):
    append_scores(tmp_path / "s.csv", [FULL])
    append_scores(tmp_path / "s.csv", [BARE])
    with (tmp_path / "s.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    columns = "time id prompt seed model VQ MQ TA Overall VQ_raw MQ_raw TA_raw total_frames fps path judge notes"
    assert rows[0] == columns.split() and len(rows) == 3
    assert all(row[0].endswith("+00:00") for row in rows[1:])


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_row_after_a_torn_line_stands_on_its_own_line(tmp_path, ending):
    path = tmp_path / f"s.{ending}"
    append_scores(path, [FULL])
    whole = path.read_text()
    path.write_text(whole.rstrip("\n"))
    append_scores(path, [BARE])
    assert read_scores(path) == (FULL, BARE)


@pytest.mark.parametrize(("ending", "write"), [("csv", write_csv), ("jsonl", write_jsonl)])
def test_files_of_the_command_line_are_read_and_failed_rows_left_out(tmp_path, ending, write):
    good = {
        "id": "one", "path": "one.mp4", "prompt": "a cat", "VQ": 0.5, "MQ": 0.25, "TA": None, "Overall": None,
        "raw": {"VQ": 4.0, "MQ": 1.0}, "frame_indices": [0, 5], "size": [28, 28], "total_frames": 9, "fps": 8.0,
        "notes": list(NOTES),
    }  # fmt: skip
    write(tmp_path / f"s.{ending}", [good, {"id": "two", "path": "two.mp4", "prompt": None, "error": "truncated"}])
    [clip] = read_scores(tmp_path / f"s.{ending}")
    assert (clip.name, clip.scores["VQ"], clip.scores["TA"], clip.total_frames, clip.path) == (
        "one",
        0.5,
        None,
        9,
        "one.mp4",
    )
    assert clip.raw == {"VQ": 4.0, "MQ": 1.0} and clip.notes == NOTES


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.csv", "name,price\nbread,3\n", r"row 1 \(line 2\) has no VQ and MQ"),
        ("s.csv", "VQ,MQ\n1.0,much\n", r"row 1 \(line 2\), column 'MQ': found 'much'; expected a finite number"),
        ("s.jsonl", '{"VQ": 1', "cannot be read"),
        ("s.jsonl", "3\n", r"row 1 \(line 1\): found int; expected a JSON object"),
    ],
)
def test_a_file_of_something_else_is_refused_with_its_row(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(VideoAlignError, match=message):
        read_scores(tmp_path / name)


def test_a_csv_with_other_columns_is_left_as_it_is(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("name,price\nbread,3\n")
    with pytest.raises(VideoAlignError, match="has the columns name, price"):
        append_scores(path, [FULL])
    assert path.read_text() == "name,price\nbread,3\n"


@pytest.mark.parametrize("name", ["../s.csv", "/tmp/s.csv", "a/../../s.jsonl"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path, name):
    with pytest.raises(VideoAlignError, match="leads out of"):
        score_path(name, tmp_path)


def test_a_name_without_a_known_ending_is_refused(tmp_path):
    with pytest.raises(VideoAlignError, match=r"must end in \.csv or \.jsonl"):
        score_path("scores.xlsx", tmp_path)


def test_text_that_utf8_cannot_hold_does_not_lose_the_row(tmp_path):
    odd = ScoredClip({"VQ": 0.0, "MQ": 0.0, "TA": 0.0, "Overall": 0.0}, name="x", prompt="half \ud83d")
    append_scores(tmp_path / "s.jsonl", [odd])
    assert json.loads((tmp_path / "s.jsonl").read_text())["VQ"] == 0.0


OLD_COLUMNS = "time,id,prompt,seed,model,VQ,MQ,TA,Overall,VQ_raw,MQ_raw,TA_raw,total_frames,fps,path"


def test_a_csv_of_0_1_0_is_read_as_videorewards_and_grows_in_its_own_columns(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text(f"{OLD_COLUMNS}\n2026-01-01T00:00:00+00:00,old,a cat,7,m,0.5,0.25,,,4.0,1.5,,9,8.0,x.mp4\n")
    assert append_scores(path, [FULL]) == 2
    assert path.read_text().splitlines()[0] == OLD_COLUMNS
    old, new = read_scores(path)
    assert (old.judge, old.scores) == ("videoreward", {"VQ": 0.5, "MQ": 0.25, "TA": None, "Overall": None})
    assert new == FULL


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_another_judges_marks_and_reasons_come_back_under_their_names(tmp_path, ending):
    marked = ScoredClip(
        {"light": 0.25, "calm": 0.5}, "clip", judge="measures", dimensions=(), reasons={"light": 'a dim, "red" room'}
    )
    path = tmp_path / f"s.{ending}"
    append_scores(path, [marked])
    [back] = read_scores(path)
    assert (back.judge, dict(back.scores), back.reasons) == ("measures", dict(marked.scores), marked.reasons)
    assert [one.name for one in back.dimensions] == ["light", "calm"]


def test_another_judges_row_does_not_go_into_videorewards_csv(tmp_path):
    append_scores(tmp_path / "s.csv", [FULL])
    marked = ScoredClip({"light": 0.25}, "clip", judge="measures", dimensions=())
    with pytest.raises(VideoAlignError, match="Choose another file name"):
        append_scores(tmp_path / "s.csv", [marked])
    assert len(read_scores(tmp_path / "s.csv")) == 1


def test_a_preference_file_is_refused_before_a_row_is_written_into_it(tmp_path):
    path = tmp_path / "choices.jsonl"
    path.write_text('{"prompt": "p", "chosen": "a.mp4", "rejected": "b.mp4"}\n')
    before = path.read_bytes()
    with pytest.raises(VideoAlignError, match="has no VQ and MQ"):
        append_scores(path, [FULL])
    assert path.read_bytes() == before


def test_a_trainings_log_whose_numbers_are_called_error_is_refused_too(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1, "kind": "train", "loss": 0.5, "error": 0.25}\n')
    before = path.read_bytes()
    with pytest.raises(VideoAlignError, match="has no VQ and MQ"):
        append_scores(path, [FULL])
    assert path.read_bytes() == before


def test_a_row_is_appended_behind_the_byte_order_mark_of_a_spreadsheet_and_refused_after_its_semicolons(tmp_path):
    path = tmp_path / "s.csv"
    append_scores(path, [FULL])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert append_scores(path, [BARE]) == 2 and read_scores(path) == (FULL, BARE)
    path.write_text(path.read_text(encoding="utf-8-sig").replace(",", ";"), encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(VideoAlignError, match="has the columns time;id"):
        append_scores(path, [BARE])
    assert path.read_bytes() == before


def test_a_prompt_that_looks_like_a_formula_is_not_run_by_a_spreadsheet_and_read_back(tmp_path):
    odd = ScoredClip({"VQ": -0.5, "MQ": 0.0, "TA": 0.0, "Overall": 0.0}, name="x", prompt='=HYPERLINK("http://x")')
    append_scores(tmp_path / "s.csv", [odd])
    assert ",''=HYPERLINK" in (tmp_path / "s.csv").read_text().replace('"', "") and read_scores(tmp_path / "s.csv") == (
        odd,
    )
