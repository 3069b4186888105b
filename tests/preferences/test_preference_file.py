"""The native preference file: strict reading, errors that help, atomic writing, and turning pairs around."""

import json
import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from videoalign.errors import FileError, PreferenceFileError
from videoalign.preferences.preference_file import PreferencePair, Preferences, Source, pair_of_sides, write_preferences
from videoalign.preferences.reading import read_preferences

GOOD = {
    "id": "p1",
    "prompt": "a red ball rolls left",
    "chosen": "clips/a.mp4",
    "rejected": "clips/b.mp4",
    "labels": {"VQ": "A", "MQ": "same", "TA": "B", "Overall": "invalid"},
    "scores_chosen": {"VQ": 1.25},
    "scores_rejected": {"VQ": -0.5},
    "weight": 2.0,
    "fps": 16,
}


def write_lines(path: Path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_a_line_of_the_design_reads_with_all_its_keys(tmp_path):
    found = read_preferences(write_lines(tmp_path / "pairs.jsonl", GOOD, "", {**GOOD, "id": "p2"}))
    assert found.format == "native" and len(found) == 2 and found.rows == [1, 3]
    pair = found[0]
    assert (pair.id, pair.prompt, pair.weight, pair.fps) == ("p1", "a red ball rolls left", 2.0, 16)
    assert pair.label_codes(("VQ", "MQ", "TA", "Overall")) == [1, 0, -1, 22]
    assert found.clip(0, "rejected") == tmp_path / "clips" / "b.mp4"


def test_the_smallest_pair_has_prompt_chosen_and_rejected_and_counts_as_not_labelled(tmp_path):
    row = {key: GOOD[key] for key in ("prompt", "chosen", "rejected")}
    pair = read_preferences(write_lines(tmp_path / "pairs.jsonl", row))[0]
    assert pair.label_codes(("VQ", "MQ", "TA")) == [22, 22, 22] and pair.weight == 1.0 and pair.fps is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rejectd": "x.mp4"}, ["key 'rejectd' is unknown", "did you mean 'rejected'?"]),
        ({"rejected": None}, ["key 'rejected'", "found None"]),
        ({"labels": {"VQ": "a"}}, ["key 'labels.VQ'", "found 'a'", "'A', 'B', 'same' or 'invalid'"]),
        ({"labels": {"vq": "A"}}, ["labels.vq", "'VQ', 'MQ', 'TA' or 'Overall'"]),
        ({"weight": -1}, ["key 'weight'", "found -1", "greater than or equal to 0"]),
        ({"weight": "1"}, ["key 'weight'", "found '1'"]),
        ({"weight": float("nan")}, ["key 'weight'", "found nan", "finite"]),
        ({"scores_chosen": {"VQ": float("inf")}}, ["key 'scores_chosen.VQ'", "found inf"]),
        ({"fps": 0}, ["key 'fps'", "found 0", "greater than 0"]),
        ({"chosen": ""}, ["key 'chosen'", "found ''"]),
        ({"source": {"format": "x", "rows": 3}}, ["key 'source.rows' is unknown", "did you mean 'row'?"]),
        ({"id": "p1"}, ["id 'p1' is already used on line 1"]),
    ],
)
def test_an_error_names_the_file_the_line_the_key_and_what_was_found(tmp_path, change, told):
    path = write_lines(tmp_path / "pairs.jsonl", GOOD, {**GOOD, "id": "p2", **change})
    with pytest.raises(PreferenceFileError) as error:
        read_preferences(path)
    text = str(error.value)
    assert f"{path}, line 2: " in text
    for part in told:
        assert part in text


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"prompt": "x", "chosen": "a.mp4"', "not valid JSON"),
        ('{"prompt": "x", "chosen": "a.mp4"}', "key 'rejected' is missing; found prompt, chosen"),
        ("[1]", "row 2 (line 2): found list; expected a JSON object"),
    ],
)
def test_a_broken_line_is_named_and_says_what_to_do(tmp_path, line, told):
    with pytest.raises(PreferenceFileError, match="line 2") as error:
        read_preferences(write_lines(tmp_path / "pairs.jsonl", GOOD, line))
    assert told in str(error.value)


def test_a_missing_an_empty_and_a_binary_file_are_told_apart(tmp_path):
    with pytest.raises(PreferenceFileError, match="there is no such file"):
        read_preferences(tmp_path / "nothing.jsonl")
    with pytest.raises(PreferenceFileError, match="no rows"):
        read_preferences(write_lines(tmp_path / "empty.jsonl"))
    with pytest.raises(PreferenceFileError, match="no pairs found"):
        read_preferences(tmp_path / "empty.jsonl", format="native")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00{")
    for name in ("auto", "native"):
        with pytest.raises(PreferenceFileError, match="not UTF-8"):
            read_preferences(tmp_path / "binary.jsonl", format=name)
    with pytest.raises(PreferenceFileError, match="'nativ' is unknown; choose one of auto, native, videoalign"):
        read_preferences(write_lines(tmp_path / "pairs.jsonl", GOOD), format="nativ")


def test_what_is_written_reads_back_equal_and_text_stays_readable(tmp_path):
    first = read_preferences(write_lines(tmp_path / "pairs.jsonl", {**GOOD, "prompt": "ein Bär 🐻"}))
    write_preferences(tmp_path / "copy.jsonl", first)
    assert read_preferences(tmp_path / "copy.jsonl").pairs == first.pairs
    assert "ein Bär 🐻" in (tmp_path / "copy.jsonl").read_text(encoding="utf-8")


def test_paths_stay_on_their_clips_when_the_file_is_written_to_another_folder(tmp_path):
    (tmp_path / "data" / "clips").mkdir(parents=True)
    (tmp_path / "lists").mkdir()
    for name in "ab":
        (tmp_path / "data" / "clips" / f"{name}.mp4").touch()
    absolute = str(tmp_path / "data" / "clips" / "a.mp4")
    found = read_preferences(write_lines(tmp_path / "data" / "pairs.jsonl", {**GOOD, "chosen": absolute}))
    write_preferences(tmp_path / "lists" / "pairs.jsonl", found)
    moved = read_preferences(tmp_path / "lists" / "pairs.jsonl")
    assert moved[0].chosen == absolute and moved[0].rejected == "../data/clips/b.mp4"
    moved.check_clips()


def test_missing_clips_are_named_with_their_rows(tmp_path):
    found = read_preferences(write_lines(tmp_path / "pairs.jsonl", GOOD))
    with pytest.raises(
        PreferenceFileError, match=r"2 clips are missing: row 1: chosen .*a\.mp4; row 1: rejected"
    ) as error:
        found.check_clips()
    assert str(tmp_path) in str(error.value)
    (tmp_path / "elsewhere" / "clips").mkdir(parents=True)
    for name in "ab":
        (tmp_path / "elsewhere" / "clips" / f"{name}.mp4").touch()
    read_preferences(tmp_path / "pairs.jsonl", root=tmp_path / "elsewhere").check_clips()


def test_a_write_that_fails_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch):
    path = write_lines(tmp_path / "pairs.jsonl", GOOD)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    for function in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, function, fail)
            with pytest.raises(FileError, match=r"pairs\.jsonl could not be written \(disk full\)"):
                write_preferences(path, [PreferencePair(prompt="x", chosen="c.mp4", rejected="d.mp4")])
        assert path.read_bytes() == before and os.listdir(tmp_path) == ["pairs.jsonl"]


def test_a_swapped_pair_judges_the_same_and_swapping_twice_changes_nothing():
    pair = PreferencePair.model_validate({**GOOD, "source": {"format": "x"}})
    swapped = pair.swapped()
    assert (swapped.chosen, swapped.rejected) == (pair.rejected, pair.chosen)
    assert swapped.labels == {"VQ": "B", "MQ": "same", "TA": "A", "Overall": "invalid"}
    assert swapped.scores_chosen == {"VQ": -0.5} and swapped.source.a == "rejected"
    assert swapped.swapped() == pair
    assert swapped.in_source_order() == pair == pair.in_source_order()


def test_preferring_a_dimension_turns_or_drops_the_pair():
    pair = PreferencePair.model_validate(GOOD)
    assert pair.preferring("VQ") is pair
    assert pair.preferring("TA").chosen == pair.rejected and pair.preferring("TA").labels["TA"] == "A"
    assert pair.preferring("MQ") is None and pair.preferring("Overall") is None


@pytest.mark.parametrize(
    ("labels", "winner"),
    [
        ({"VQ": "A", "MQ": "A", "TA": "A", "Overall": "B"}, "b.mp4"),  # Overall decides
        ({"VQ": "A", "MQ": "B", "TA": "B", "Overall": "same"}, "b.mp4"),  # else the majority
        ({"VQ": "B", "MQ": "same", "TA": "same"}, "b.mp4"),
        ({"VQ": "B", "MQ": "A"}, "a.mp4"),  # else A
        ({"VQ": "same"}, "a.mp4"),
        ({"VQ": "B", "MQ": "invalid", "TA": "A"}, "a.mp4"),
        ({}, "a.mp4"),
    ],
)
def test_the_chosen_side_of_a_pair_whose_dimensions_disagree_follows_the_documented_rule(labels, winner):
    pair = pair_of_sides("a.mp4", "b.mp4", labels, prompt="x", scores_a={"VQ": 1.0}, source=Source(format="x"))
    assert pair.chosen == winner
    back = pair.in_source_order()
    assert (back.chosen, back.labels, back.scores_chosen) == ("a.mp4", labels, {"VQ": 1.0})


def test_a_pair_cannot_be_changed_in_place_or_built_with_an_unknown_key():
    pair = PreferencePair.model_validate(GOOD)
    with pytest.raises(ValidationError):
        pair.weight = 3.0
    with pytest.raises(ValidationError):
        PreferencePair(prompt="x", chosen="a.mp4", rejected="b.mp4", wieght=2.0)


def test_bare_pairs_are_written_as_they_are(tmp_path):
    pair = PreferencePair(prompt="x", chosen="c.mp4", rejected="d.mp4")
    write_preferences(tmp_path / "pairs.jsonl", [pair])
    assert json.loads((tmp_path / "pairs.jsonl").read_text()) == {"prompt": "x", "chosen": "c.mp4", "rejected": "d.mp4"}
    assert list(Preferences([pair], tmp_path)) == [pair]


@pytest.mark.parametrize(("chosen", "rejected"), [("a.mp4", "a.mp4"), ("clips/a.mp4", "clips/../clips/./a.mp4")])
def test_a_pair_of_a_clip_with_itself_is_refused_by_its_row(tmp_path, chosen, rejected):
    rows = [
        {"prompt": "p", "chosen": "x.mp4", "rejected": "y.mp4"},
        {"prompt": "p", "chosen": chosen, "rejected": rejected},
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(PreferenceFileError, match=rf"pairs\.jsonl, (row|line) 2: both clips are {re.escape(chosen)}\."):
        read_preferences(file)
