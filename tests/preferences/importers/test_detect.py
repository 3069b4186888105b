"""Formats are told by their columns, and tables that cannot be read say why."""

import json

import pytest

from videoalign.errors import PreferenceFileError
from videoalign.files.tables import iterate_rows
from videoalign.preferences.importers.detect import SIGNATURES, detect_format
from videoalign.preferences.reading import READERS, read_preferences


def put(path, content):
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


def put_lines(path, rows):
    return put(path, "".join(json.dumps(row) + "\n" for row in rows))


FIRST_ROWS = {
    "native": {"prompt": "p", "chosen": "a.mp4", "rejected": "b.mp4"},
    "videoalign": {"path_A": "a", "path_B": "b", "prompt": "p", "VQ": "A"},
    "genai_bench": {"prompt": "p", "left_video": "a", "right_video": "b", "vote_type": "tievote"},
    "videodpo": {"video1": 0, "video2": 1, "frame_caption": "p"},
    "visionreward": {"prompt": "p", "video1_path": "a", "video2_path": "b", "standard_answer": "1"},
    "lift": {"video": "a", "conversations": []},
    "scored_clips": {"path": "a", "prompt": "p", "TA": 0.5},
}


@pytest.mark.parametrize("name", FIRST_ROWS)
def test_each_format_is_told_by_its_first_row_and_by_what_it_lacks(tmp_path, name):
    assert set(FIRST_ROWS) == set(SIGNATURES) == set(READERS)
    row = FIRST_ROWS[name]
    assert detect_format(put_lines(tmp_path / "x.jsonl", [{**row, "extra": 1}])) == name
    for lost in row:
        path = put_lines(tmp_path / "x.jsonl", [{key: value for key, value in row.items() if key != lost}])
        if (name, lost) in {("videoalign", "VQ")}:
            continue  # labels are optional to detection: the reader tells which it needs
        with pytest.raises(PreferenceFileError, match=r"row 1 \(line 1\): .*(is missing|no known)") as error:
            detect_format(path)
        for key in row:
            assert key == lost or key in str(error.value)
        if len(row) > 2:
            assert f"looks like {name}" in str(error.value)


def test_columns_of_no_known_format_are_listed_with_what_would_be_known(tmp_path):
    path = put(tmp_path / "x.csv", "video,score\na.mp4,1\n")
    with pytest.raises(PreferenceFileError, match="found video, score") as error:
        read_preferences(path)
    for name in FIRST_ROWS:
        assert name in str(error.value)


def test_a_named_format_is_used_even_where_another_would_be_detected(tmp_path):
    path = put(tmp_path / "x.csv", "path_A,path_B,prompt,VQ,path\na,b,c,A,d\n")
    assert read_preferences(path).format == "videoalign"
    with pytest.raises(PreferenceFileError, match=r"row 1 .* column 'VQ': found 'A'; expected a finite number"):
        read_preferences(path, format="scored_clips")


def test_files_that_are_no_tables_are_refused_with_the_reason(tmp_path):
    with pytest.raises(
        PreferenceFileError, match=r"\.parquet cannot be read; expected \.csv, \.tsv, \.json, \.jsonl, \.ndjson"
    ):
        list(iterate_rows(put(tmp_path / "x.parquet", "x")))
    with pytest.raises(PreferenceFileError, match="expected a JSON list"):
        list(iterate_rows(put(tmp_path / "x.json", {})))
    with pytest.raises(PreferenceFileError, match="line 1: not valid JSON"):
        list(iterate_rows(put(tmp_path / "x.json", "[")))
    with pytest.raises(PreferenceFileError, match=r"row 1 \(line 1\): found int; expected a JSON object"):
        list(iterate_rows(put(tmp_path / "x.jsonl", "3\n")))
    with pytest.raises(PreferenceFileError, match="the file is empty"):
        list(iterate_rows(put(tmp_path / "x.csv", "")))
    with pytest.raises(PreferenceFileError, match=r"row 2 \(line 2\): column 'prompt' is missing; found left_video"):
        rows = [{"prompt": "p", "left_video": "l", "right_video": "r", "vote_type": "tievote"}, {"left_video": "l"}]
        rows[1] |= {"right_video": "r", "vote_type": "tievote"}
        read_preferences(put_lines(tmp_path / "x.jsonl", rows))
