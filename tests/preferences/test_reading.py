"""One reader for every trainer: pairs with their clips resolved, the form of a file told once."""

import json

import pytest

from videoalign.errors import PreferenceFileError
from videoalign.preferences import reading
from videoalign.preferences.reading import read_pairs, read_preferences


@pytest.fixture
def scores(tmp_path):
    """A score file of three clips of one prompt, the first two of which are equal in everything."""
    rows = []
    for name, score in (("a", 1.0), ("b", 1.0), ("c", 2.0)):
        (tmp_path / f"{name}.mp4").touch()
        rows.append({"path": f"{name}.mp4", "prompt": "p", **dict.fromkeys(("VQ", "MQ", "TA"), score)})
    path = tmp_path / "scores.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_trainers_get_the_ties_of_a_score_file_that_a_plain_reading_leaves_out(scores):
    assert len(read_preferences(scores)) == 2
    pairs = read_pairs([scores])
    assert [pair.pair.labels["VQ"] for pair in pairs] == ["same", "A", "A"]
    assert {pair.format for pair in pairs} == {"scored_clips"}


def test_a_pair_has_its_files_its_sides_and_a_name_that_leads_to_its_row(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.mp4").touch()
    path = tmp_path / "pairs.jsonl"
    line = {"prompt": "p", "chosen": "b.mp4", "rejected": "a.mp4", "fps": 8}
    path.write_text("\n" + json.dumps(line) + "\n" + json.dumps({**line, "id": "p7"}) + "\n")
    pairs = read_pairs([path], root=folder)
    assert [pair.name for pair in pairs] == [f"{path}, row 2", f"{path}, row 3 (p7)"]
    assert pairs[0].clips == {"chosen": folder / "b.mp4", "rejected": folder / "a.mp4"}
    assert (pairs[0].prompt, pairs[0].fps, pairs[0].chosen) == ("p", 8, folder / "b.mp4")


def test_the_form_of_a_file_is_told_once(scores, monkeypatch):
    asked = []
    told = reading.detect_format
    monkeypatch.setattr(reading, "detect_format", lambda path: asked.append(path) or told(path))
    read_pairs([scores])
    assert asked == [scores]


def test_files_are_read_in_their_order_and_a_missing_file_or_clip_is_named(scores, tmp_path):
    with pytest.raises(PreferenceFileError, match=r"nothing\.csv: there is no such file"):
        read_pairs([scores, tmp_path / "nothing.csv"])
    (tmp_path / "c.mp4").unlink()
    with pytest.raises(PreferenceFileError, match=r"2 clips are missing: .*c\.mp4"):
        read_pairs([scores])
