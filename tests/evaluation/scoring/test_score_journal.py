"""The journal keeps every finished row through kills, torn lines, full disks and other numbers of processes."""

import csv
import errno
import json
import os
from pathlib import Path

import pytest

from videoalign.errors import VideoAlignError
from videoalign.evaluation.scoring.score_journal import ScoreJournal
from videoalign.evaluation.scoring.score_rows import ScoreRow
from videoalign.files.tables import read_table
from videoalign.preferences import pairs_command
from videoalign.preferences.reading import read_pairs

SETTINGS = {"model": "abc", "sampling": {"fps": 2.0}, "mean": (1.0, 2.0)}
SCORES = {"VQ": 0.1, "MQ": -0.2, "TA": 0.30000000000000004, "Overall": 0.2}


@pytest.fixture
def rows(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.mp4").write_bytes(name.encode())
    return [ScoreRow(name, tmp_path / f"{name}.mp4", f"prompt of {name}", 8.0) for name in "abc"]


@pytest.fixture
def journal(tmp_path):
    def open_journal(rank=0, world=1, overwrite=False, settings=SETTINGS, name="scores.jsonl"):
        return ScoreJournal(tmp_path / name, settings, rank, world, overwrite)

    return open_journal


def result(row, **changes):
    answer = {
        **SCORES,
        "raw": {"VQ": 1.0, "MQ": 2.0, "TA": 3.0},
        "frame_indices": [0, 3],
        "size": [28, 56],
        "total_frames": 4,
        "fps": 8.0,
    }
    return {"id": row.id, "path": str(row.path), "prompt": row.prompt, **answer, **changes}


def failure(row, error="broken"):
    return {"id": row.id, "path": str(row.path), "prompt": row.prompt, "error": error}


def part(tmp_path, rank=0, world=1):
    return tmp_path / "scores.jsonl.run" / f"part-{rank}-of-{world}.jsonl"


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_rows_added_by_any_process_are_found_by_a_later_run_of_another_number(journal, rows, tmp_path):
    journal(rank=1, world=2).add(rows[0], result(rows[0]))
    journal(rank=0, world=3).add(rows[2], result(rows[2]))
    later = journal()
    assert set(later.finished(rows)) == {"a", "c"}
    assert later.write_output(rows) is None
    later.add(rows[1], result(rows[1]))
    assert [row["id"] for row in later.write_output(rows)] == ["a", "b", "c"]
    expected = [{**result(row), "path": row.path.name} for row in rows]  # beside the score file
    assert lines(tmp_path / "scores.jsonl") == expected


def test_a_torn_last_line_is_dropped_and_its_row_scored_again(journal, rows, tmp_path):
    first = journal()
    for row in rows:
        first.add(row, result(row))
    content = part(tmp_path).read_bytes()
    for cut in range(len(content) - 2, content[:-1].rfind(b"\n"), -40):
        part(tmp_path).write_bytes(content[:cut])
        again = journal()
        assert set(again.finished(rows)) == {"a", "b"}
        again.add(rows[2], result(rows[2]))
        assert again.write_output(rows) == [result(row) for row in rows]


def test_a_torn_or_damaged_line_of_another_process_is_skipped(journal, rows, tmp_path):
    one = journal(rank=0, world=2)
    one.add(rows[0], result(rows[0]))
    damage = b'\x00\x00\x00\n\xff\xfe\n17\n{"row": 3}\n{"row": {"id": "b"}, "resu'
    part(tmp_path, 1, 2).write_bytes(damage)
    assert set(journal(rank=2, world=3).finished(rows)) == {"a"}
    assert part(tmp_path, 1, 2).read_bytes() == damage  # only its own process may cut it


def test_a_row_whose_prompt_path_or_rate_changed_is_scored_again(journal, rows, tmp_path):
    first = journal()
    for row in rows:
        first.add(row, result(row))
    changed = [
        ScoreRow("a", rows[0].path, "another prompt", 8.0),
        ScoreRow("b", tmp_path / "c.mp4", rows[1].prompt, 8.0),
        ScoreRow("c", rows[2].path, rows[2].prompt, 9.0),
    ]
    later = journal()
    assert later.finished(changed) == {}
    assert later.write_output(changed) is None  # stale results never reach the output
    assert set(later.finished(rows)) == {"a", "b", "c"}


def test_a_clip_that_was_made_anew_under_its_old_name_is_scored_again(journal, rows):
    first = journal()
    for row in rows:
        first.add(row, result(row))
    rows[1].path.write_bytes(b"another clip")
    os.utime(rows[2].path, ns=(1, 1))
    assert set(journal().finished(rows)) == {"a"}


def test_a_failed_row_is_tried_again_but_counts_for_the_output(journal, rows):
    first = journal()
    first.add(rows[0], failure(rows[0]))
    for row in rows[1:]:
        first.add(row, result(row))
    assert first.write_output(rows)[0] == failure(rows[0])
    later = journal()
    assert set(later.finished(rows)) == {"b", "c"}
    later.add(rows[0], result(rows[0]))
    assert later.write_output(rows) == [result(row) for row in rows]


def test_an_error_about_a_clip_that_changed_since_does_not_count_for_the_output(journal, rows):
    missing = ScoreRow("z", rows[0].path.with_name("z.mp4"), "x")
    first = journal()
    first.add(missing, failure(missing, "does not exist"))
    assert first.write_output([missing]) == [failure(missing, "does not exist")]
    missing.path.write_bytes(b"now it does")
    assert journal().write_output([missing]) is None


def test_the_latest_error_is_told_and_a_success_outlives_a_failure(journal, rows):
    journal(rank=0, world=2).add(rows[0], result(rows[0]))
    other = journal(rank=1, world=2)
    other.add(rows[0], failure(rows[0]))
    other.add(rows[1], failure(rows[1], "first"))
    other.add(rows[1], failure(rows[1], "second"))
    assert other.write_output(rows[:2]) == [result(rows[0]), failure(rows[1], "second")]


def test_rows_that_left_the_manifest_leave_the_output_too(journal, rows):
    first = journal()
    for row in rows:
        first.add(row, result(row))
    assert [row["id"] for row in journal().write_output([rows[2], rows[0]])] == ["c", "a"]


def test_other_settings_are_refused_by_name_and_the_same_ones_accepted(journal, rows):
    journal()
    journal(settings=dict(SETTINGS))
    with pytest.raises(VideoAlignError, match=r"another sampling\..*--overwrite"):
        journal(settings={**SETTINGS, "sampling": {"fps": 3.0}})
    with pytest.raises(VideoAlignError, match="another model"):
        journal(settings={**SETTINGS, "model": "def"})


def test_overwrite_forgets_the_earlier_run(journal, rows, tmp_path):
    first = journal()
    first.add(rows[0], result(rows[0]))
    first.write_output(rows[:1])
    assert journal(overwrite=True, settings={**SETTINGS, "model": "def"}).finished(rows) == {}
    assert not (tmp_path / "scores.jsonl").exists()
    with pytest.raises(VideoAlignError, match="does not work with several processes"):
        journal(world=2, overwrite=True)


def test_a_file_that_no_run_made_is_never_overwritten(journal, tmp_path):
    (tmp_path / "scores.jsonl").write_text("precious")
    with pytest.raises(VideoAlignError, match="was not made by an unfinished run"):
        journal()
    with pytest.raises(VideoAlignError, match=r"must end in \.csv or \.jsonl"):
        journal(name="scores.txt")
    assert (tmp_path / "scores.jsonl").read_text() == "precious"


def test_a_full_disk_is_a_clear_error_and_what_is_done_stays(journal, rows, tmp_path, monkeypatch):
    one = journal()
    one.add(rows[0], result(rows[0]))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("videoalign.evaluation.scoring.score_journal.write_jsonl", full)
    with pytest.raises(VideoAlignError, match=r"cannot be written \(\[Errno 28\] No space left.*run the same command"):
        one.write_output(rows[:1])
    assert sorted(path.name for path in tmp_path.iterdir() if "scores" in path.name) == ["scores.jsonl.run"]
    assert set(journal().finished(rows)) == {"a"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_row_that_cannot_be_written_stops_the_run_with_a_clear_error(journal, rows, tmp_path):
    one = journal()
    part(tmp_path).symlink_to("/dev/full")
    with pytest.raises(VideoAlignError, match=r"cannot be written .*No space left.*run the same command"):
        one.add(rows[0], result(rows[0]))


def test_an_output_that_is_a_file_where_a_folder_should_be_is_a_clear_error(journal, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(VideoAlignError, match="cannot be written"):
        journal(name="file/scores.csv")


def test_the_csv_has_one_row_each_with_flat_columns_and_full_precision(journal, rows, tmp_path):
    one = journal(name="scores.csv")
    bare = ScoreRow("bare", rows[0].path)
    answers = [
        result(rows[0], prompt='a "cat",\nrunning'),
        result(bare, TA=None, Overall=None, raw={"VQ": 1.0, "MQ": 2.0}),
        failure(rows[1], "lone \udc80 byte"),
    ]
    for row, answer in zip([rows[0], bare, rows[1]], answers, strict=True):
        one.add(row, answer)
    one.write_output([rows[0], bare, rows[1]])
    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as file:
        first, second, third = csv.DictReader(file)
    assert (first["prompt"], first["frame_indices"], first["height"], first["width"]) == (
        'a "cat",\nrunning',
        "0 3",
        "28",
        "56",
    )
    assert {name: float(first[name]) for name in SCORES} == SCORES
    assert (second["TA"], second["Overall"], second["TA_raw"], second["MQ_raw"], second["error"]) == (
        "",
        "",
        "",
        "2.0",
        "",
    )
    assert (third["id"], third["VQ"], third["error"]) == ("b", "", "lone \\udc80 byte")


def test_text_that_utf8_cannot_hold_survives_in_jsonl_as_an_escape(journal, rows, tmp_path):
    odd = ScoreRow("odd", rows[0].path, "lone \ud800 surrogate, 猫")
    one = journal()
    one.add(odd, failure(odd))
    one.write_output([odd])
    assert lines(tmp_path / "scores.jsonl")[0]["prompt"] == odd.prompt
    assert "猫" in (tmp_path / "scores.jsonl").read_text(encoding="utf-8")
    assert one.finished([odd]) == {}


def test_a_journal_of_0_1_0_names_no_judge_and_goes_on_as_videorewards(journal, rows, tmp_path):
    """Its run.json has no judge, nor have its rows; what was scored then is not scored again."""
    journal().add(rows[0], result(rows[0]))
    run = tmp_path / "scores.jsonl.run" / "run.json"
    assert "judge" not in json.loads(run.read_text())
    later = journal(settings={"judge": "videoreward", **SETTINGS})
    assert later.finished(rows) == {"a": result(rows[0], judge="videoreward")}
    with pytest.raises(VideoAlignError, match="another judge"):
        journal(settings={"judge": "micro-world", **SETTINGS})


def test_a_row_whose_rate_is_not_a_number_is_settled_like_any_other(journal, rows, tmp_path):
    odd = ScoreRow("odd", rows[0].path, "x", float("nan"))
    one = journal()
    one.add(odd, failure(odd))
    one.add(rows[1], result(rows[1]))
    assert one.write_output([odd, rows[1]]) == [failure(odd), result(rows[1])]


def test_a_flipped_bit_in_a_part_never_reaches_the_output(journal, rows, tmp_path, capsys):
    one = journal()
    for row in rows:
        one.add(row, result(row))
    whole = part(tmp_path).read_bytes()
    for position in range(whole.index(b"\n") + 1, len(whole) - 1, 7):
        damaged = bytearray(whole)
        damaged[position] ^= 2
        part(tmp_path).write_bytes(damaged)
        found = journal().finished(rows)
        assert all(found.get(row.id, result(row)) == result(row) for row in rows) and len(found) == 2
    assert "left out" in capsys.readouterr().err


def test_a_journal_of_version_0_1_0_goes_on(journal, rows, tmp_path):
    one = journal()
    old = [{"row": one._identity(row), "result": result(row)} for row in rows[:2]]
    part(tmp_path).write_text("".join(json.dumps(line) + "\n" for line in old), encoding="utf-8")
    later = journal()
    assert set(later.finished(rows)) == {"a", "b"}
    later.add(rows[2], result(rows[2]))
    assert later.write_output(rows) == [result(row) for row in rows]


@pytest.mark.parametrize("name", ["scores.jsonl", "scores.csv"])
def test_paths_in_the_output_start_at_its_folder_so_that_every_command_reads_it_from_anywhere(
    name, tmp_path, monkeypatch
):
    work, elsewhere = tmp_path / "work", tmp_path / "elsewhere"
    for folder in (work / "clips", work / "out", elsewhere):
        folder.mkdir(parents=True)
    monkeypatch.chdir(work)
    rows = [ScoreRow(clip, Path("clips") / f"{clip}.mp4", "a cat") for clip in ("a", "b")]
    rows.append(ScoreRow("c", work / "clips" / "c.mp4", "a cat"))
    output, scores = Path("out") / name, {"a": 1.0, "b": 0.0, "c": -1.0}
    for row in rows:
        row.path.write_bytes(b"clip")
    journal = ScoreJournal(output, {}, 0, 1, False)
    for row in rows:
        journal.add(row, result(row, **dict.fromkeys(("VQ", "MQ", "TA", "Overall"), scores[row.id])))
    assert [Path(one["path"]) for one in journal.write_output(rows)] == [row.path for row in rows]  # as they were given
    monkeypatch.chdir(elsewhere)
    file = work / output
    written = [row.text("path") for row in read_table(file, ("path",))]
    assert written == ["../clips/a.mp4", "../clips/b.mp4", (work / "clips" / "c.mp4").as_posix()]
    pairs = read_pairs([file])  # what the trainers read
    assert {clip.resolve() for pair in pairs for clip in pair.clips.values()} == {
        work / "clips" / f"{clip}.mp4" for clip in "abc"
    }
    assert pairs_command.run(pairs_command.Config(scores=file, output=elsewhere / "pairs.jsonl")) == 0
    [best_and_worst] = read_pairs([elsewhere / "pairs.jsonl"])
    assert (best_and_worst.chosen.name, best_and_worst.rejected.name) == ("a.mp4", "c.mp4")
