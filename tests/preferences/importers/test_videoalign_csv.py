"""VideoAlign's CSV: reading, refusing, and giving back what was read."""

import csv
import os

import pytest

from videoalign.errors import PreferenceFileError
from videoalign.preferences.importers.videoalign import read_videoalign_csv, write_videoalign_csv
from videoalign.preferences.preference_file import PreferencePair, Preferences, write_preferences
from videoalign.preferences.reading import read_preferences

HEADER = "path_A,path_B,A_model,B_model,prompt,VQ,MQ,TA,Overall,fps_A,num_frames_A,fps_B,num_frames_B,MOS_A_VQ,MOS_B_VQ"
BENCH = f"""{HEADER}
videos/1_A.mp4,./videos/1_B.mp4,m1,m2,"A girl, in a room.",B,B,A,B,24.0,126.0,30.0,152.0,3,4.50
videos/2_A.mp4,videos/2_B.mp4,m3,m1,"two
lines",same,,A,invalid,24.0,144.0,24,128.0,,
videos/3_A.mp4,videos/3_B.mp4,m3,m1,Ein Bär,A,same,same,same,,,,,2.0,1
"""


def put(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def cells(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_videoalign_rows_become_pairs_whose_labels_speak_of_chosen_and_rejected(tmp_path):
    found = read_preferences(put(tmp_path / "bench.csv", BENCH))
    assert found.format == "videoalign" and found.rows == [2, 3, 5]
    first, second, third = found
    assert (first.chosen, first.rejected) == ("./videos/1_B.mp4", "videos/1_A.mp4")
    assert first.labels == {"VQ": "A", "MQ": "A", "TA": "B", "Overall": "A"}
    assert (first.scores_chosen, first.scores_rejected) == ({"VQ": 4.5}, {"VQ": 3.0})
    assert first.fps is None and second.fps == 24.0
    assert second.prompt == "two\nlines" and "MQ" not in second.labels
    assert second.label_codes(("VQ", "MQ", "TA", "Overall")) == [0, 22, 1, 22]
    assert third.chosen == "videos/3_A.mp4" and third.source.columns["A_model"] == "m3"


@pytest.mark.parametrize("through_native", [False, True])
def test_a_videoalign_csv_comes_back_cell_by_cell(tmp_path, through_native):
    found = read_preferences(put(tmp_path / "bench.csv", BENCH))
    if through_native:
        write_preferences(tmp_path / "pairs.jsonl", found)
        found = read_preferences(tmp_path / "pairs.jsonl")
    write_videoalign_csv(tmp_path / "again.csv", found)
    assert cells(tmp_path / "again.csv") == cells(tmp_path / "bench.csv")
    assert (tmp_path / "again.csv").read_text().splitlines()[0] == HEADER


def test_an_export_after_a_trip_through_another_folder_still_points_at_the_same_clips(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "lists").mkdir()
    found = read_preferences(put(tmp_path / "data" / "bench.csv", BENCH))
    write_preferences(tmp_path / "lists" / "pairs.jsonl", found)
    write_videoalign_csv(tmp_path / "data" / "again.csv", read_preferences(tmp_path / "lists" / "pairs.jsonl"))
    for before, after in zip(
        cells(tmp_path / "data" / "bench.csv"), cells(tmp_path / "data" / "again.csv"), strict=True
    ):
        assert {os.path.normpath(before[f"path_{s}"]) for s in "AB"} == {after[f"path_{s}"] for s in "AB"}
        assert {**before, "path_A": "", "path_B": ""} == {**after, "path_A": "", "path_B": ""}


def test_a_change_made_in_the_native_form_reaches_the_csv_on_the_right_side(tmp_path):
    found = read_preferences(put(tmp_path / "bench.csv", BENCH))
    first = found[0].model_copy(update={"labels": {"VQ": "same", "TA": "A"}, "scores_chosen": {"VQ": 5.0}})
    write_videoalign_csv(tmp_path / "changed.csv", Preferences([first, *found[1:]], tmp_path))
    row = cells(tmp_path / "changed.csv")[0]
    assert (row["VQ"], row["MQ"], row["TA"], row["Overall"]) == ("same", "", "B", "")
    assert (row["MOS_A_VQ"], row["MOS_B_VQ"]) == ("3", "5.0")


def test_a_hand_made_pair_exports_with_the_chosen_clip_as_a_and_no_machine_scores_as_mos(tmp_path):
    pair = PreferencePair(
        prompt="x", chosen="c.mp4", rejected="d.mp4", labels={"VQ": "A", "TA": "B"}, scores_chosen={"VQ": 1.5}, fps=16
    )
    write_videoalign_csv(tmp_path / "out.csv", Preferences([pair], tmp_path))
    assert cells(tmp_path / "out.csv") == [
        {"path_A": "c.mp4", "path_B": "d.mp4", "prompt": "x", "VQ": "A", "TA": "B", "fps_A": "16.0", "fps_B": "16.0"}
    ]
    again = read_preferences(tmp_path / "out.csv")[0]
    assert (again.chosen, again.labels, again.fps) == ("c.mp4", pair.labels, 16.0)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("path_B,", "pathB,", ["'path_B' is missing", "found path_A, pathB, A_model"]),
        ("prompt,", "caption,", ["'prompt' is missing"]),
        ("24.0,126.0", "24 fps,126.0", ["row 1 (line 2)", "column 'fps_A'", "'24 fps'", "finite number"]),
        ("24.0,126.0", "-24,126.0", ["row 1 (line 2)", "column 'fps_A'", "above 0"]),
        (",B,B,A,B,", ",b,B,A,B,", ["row 1 (line 2)", "column 'VQ'", "found 'b'", "allowed: A, B, same, invalid"]),
        (",A,same,same,same,", ",A,same,tie,same,", ["row 3 (line 5)", "column 'TA'", "found 'tie'"]),
        ("videos/3_A.mp4", "", ["row 3", "column 'path_A'", "expected text"]),
        ("Ein Bär", "Ein, Bär", ["row 3 (line 5)", "16 cells under 15 columns", "double quotes"]),
        ("MOS_B_VQ", "MOS_A_VQ", ["'MOS_A_VQ' occurs twice"]),
    ],
)
def test_a_bad_videoalign_csv_is_refused_by_row_and_column(tmp_path, old, new, told):
    path = put(tmp_path / "bench.csv", BENCH.replace(old, new, 1))
    with pytest.raises(PreferenceFileError) as error:
        read_preferences(path)
    for part in (str(path), *told):
        assert part in str(error.value)


def test_a_csv_without_a_label_column_or_without_an_asked_one_says_so(tmp_path):
    path = put(tmp_path / "bench.csv", "path_A,path_B,prompt\na,b,c\n")
    with pytest.raises(PreferenceFileError, match="no label column; expected one or more of VQ, MQ, TA, Overall"):
        read_preferences(path)
    path = put(tmp_path / "train.csv", "path_A,path_B,prompt,VQ\na,b,c,A\n")
    assert len(read_videoalign_csv(path)) == 1
    with pytest.raises(PreferenceFileError, match="columns 'MQ', 'TA' missing; found path_A, path_B, prompt, VQ"):
        read_videoalign_csv(path, dimensions=("VQ", "MQ", "TA"))


def test_a_csv_with_a_byte_order_mark_and_windows_line_ends_reads_alike(tmp_path):
    plain = read_preferences(put(tmp_path / "bench.csv", BENCH.replace("two\nlines", "one line")))
    windows = tmp_path / "windows.csv"
    windows.write_bytes(b"\xef\xbb\xbf" + (tmp_path / "bench.csv").read_bytes().replace(b"\n", b"\r\n"))
    assert read_preferences(windows).pairs == plain.pairs
