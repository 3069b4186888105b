"""``videoalign score`` on real clips with the tiny checkpoint, inside the test process."""

import csv
import io
import json
import shutil
import sys
from pathlib import Path

import pytest

from videoalign.backbones import devices
from videoalign.evaluation import score_command

VIDEOREWARD = Path(__file__).resolve().parents[1] / "data" / "videoreward"
OFFICIAL = json.loads((VIDEOREWARD / "results" / "small.full.fp32_ropebf16.json").read_text())["results"]
PROMPTS = json.loads((VIDEOREWARD / "results" / "inputs.small.json").read_text())["prompts"]
FRAMES_AND_SIZES = {
    name.removeprefix("syn/"): (case["samples"][0]["indices"], case["samples"][0]["resized_hw"])
    for name, case in json.loads((VIDEOREWARD / "results" / "inputs.small.json").read_text())["cases"].items()
    if name.startswith("syn/") and "samples" in case
}
KEYS = [
    "id",
    "path",
    "prompt",
    "VQ",
    "MQ",
    "TA",
    "Overall",
    "raw",
    "frame_indices",
    "size",
    "total_frames",
    "fps",
    "judge",
]


def by_id(outcome):
    return {row["id"]: row for row in outcome.rows}


def test_json_gives_the_official_scores_frames_and_sizes(score, manifest):
    cases = {
        name: OFFICIAL[f"syn/{name}"]
        for name in ("s03_30fps_61f_426x240", "s05_10fps_3f_96x64", "s12_23.976fps_71f_256x144")
    }
    rows = [
        {"id": name, "path": str(VIDEOREWARD / "clips" / f"{name}.mp4"), "prompt": PROMPTS[case["prompts"][0]]}
        for name, case in cases.items()
    ]
    outcome = score("--manifest", manifest(*rows), "--json")
    assert outcome.status == 0
    assert [row["id"] for row in outcome.rows] == list(cases)
    for row in outcome.rows:
        official = OFFICIAL[f"syn/{row['id']}"]
        assert list(row["raw"].values()) == pytest.approx(official["logits"][0], abs=5e-4)
        mean, std = (3.6757, 1.1646, 2.8105), (2.2476, 1.3811, 2.5121)
        normalised = [(value - m) / s for value, m, s in zip(official["logits"][0], mean, std, strict=True)]
        assert [row["VQ"], row["MQ"], row["TA"]] == pytest.approx(normalised, abs=5e-4)
        assert row["Overall"] == pytest.approx(sum(normalised), abs=1e-3)
        assert (row["frame_indices"], row["size"]) == FRAMES_AND_SIZES[row["id"]]


def test_json_prints_one_object_a_row_and_nothing_else(score, clips):
    outcome = score(clips, "--prompt", "a cat", "--json")
    assert outcome.status == 0
    assert [list(row) for row in outcome.rows] == [KEYS] * 4
    assert [Path(row["path"]).name for row in outcome.rows] == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    assert {row["prompt"] for row in outcome.rows} == {"a cat"}


def test_without_a_prompt_ta_and_overall_are_null(score, clips):
    (row,) = score(clips / "b.mp4", "--json").rows
    assert (row["TA"], row["Overall"], row["prompt"]) == (None, None, None)
    assert set(row["raw"]) == {"VQ", "MQ"}


def test_several_prompts_on_one_clip_share_vq_and_mq_and_differ_in_ta(score, clips):
    rows = score(clips / "b.mp4", "--prompt", "a cat", "--prompt", "a dog in the rain", "--json").rows
    assert [row["prompt"] for row in rows] == ["a cat", "a dog in the rain"]
    assert rows[0]["raw"]["VQ"] == rows[1]["raw"]["VQ"]
    assert rows[0]["raw"]["MQ"] == rows[1]["raw"]["MQ"]
    assert rows[0]["TA"] != rows[1]["TA"]
    (alone,) = score(clips / "b.mp4", "--prompt", "a dog in the rain", "--json").rows
    assert rows[1]["raw"] == pytest.approx(alone["raw"], abs=1e-5)


def test_captions_are_taken_from_the_text_files_beside_the_clips(score, clips):
    for name in "abcd":
        (clips / f"{name}.txt").write_text(f"caption of {name}\n", encoding="utf-8")
    rows = score(clips, "--captions-from-txt", "--json").rows
    assert [row["prompt"] for row in rows] == [f"caption of {name}" for name in "abcd"]


def test_a_failing_row_carries_its_error_the_others_go_on_and_the_status_is_1(score, clips, manifest):
    (clips / "text.mp4").write_text("not a video")
    shutil.copy(VIDEOREWARD / "clips" / "s08_10fps_1f_96x64.mp4", clips / "one.mp4")
    rows = [
        {"id": "sound", "path": "a.mp4", "prompt": "a cat"},
        {"id": "missing", "path": "no.mp4", "prompt": "a cat"},
        {"id": "text", "path": "text.mp4", "prompt": "a cat"},
        {"id": "one frame", "path": "one.mp4", "prompt": "a cat"},
        {"id": "no rate", "path": "a.mp4", "prompt": "a cat", "fps": 0},
        {"id": "no caption", "path": "b.mp4", "prompt": " "},
        {"id": "same clip", "path": "b.mp4", "prompt": "a cat"},
        {"id": "surrogate", "path": "c.mp4", "prompt": "a \ud800 cat"},
        {"id": "endless", "path": "c.mp4", "prompt": "cat " * 50_000},
        {"id": "last", "path": "d.mp4", "prompt": "a cat"},
    ]
    outcome = score("--manifest", manifest(*rows), "--json", "--fps", 10)
    assert outcome.status == 1
    answers = by_id(outcome)
    assert list(answers) == [row["id"] for row in rows]
    errors = {name: row["error"] for name, row in answers.items() if "error" in row}
    assert set(answers) - set(errors) == {"sound", "same clip", "last"}
    assert all(list(answers[name]) == ["id", "path", "prompt", "error"] for name in errors)
    for name, words in {
        "missing": "does not exist",
        "text": "not a video",
        "one frame": "1 frame",
        "no rate": "a frame rate of 0",
        "no caption": "caption is empty",
        "surrogate": "not valid text",
        "endless": "Shorten the caption",
    }.items():
        assert words in errors[name], name
    assert "7 of 10 rows failed" in outcome.err


def test_a_table_is_printed_without_json(score, clips):
    outcome = score(clips, "--prompt", "a cat")
    assert [line.split()[0] for line in outcome.out.splitlines()[:1]] == ["clip"]
    assert sum(".mp4" in line for line in outcome.out.splitlines()) == 4


def test_what_is_special_about_a_clip_is_said_in_every_form_of_the_result(score, encode, tmp_path):
    plain, wide = encode("plain.mp4", 12), encode("wide.mp4", 12, options={"aspect": "2"})
    bright = encode("bright.mp4", 12, options={"x264-params": "transfer=smpte2084"})
    first, second, third = score(plain, wide, bright, "--json").rows
    assert "notes" not in first and len(second["notes"]) == len(third["notes"]) == 1
    assert "its pixels are 2:1, not square" in second["notes"][0] and "high dynamic range (PQ)" in third["notes"][0]
    output = tmp_path / "x.csv"
    table = score(plain, wide, bright, "--output", output).out
    assert f"note: {wide}: its pixels are 2:1" in table and f"note: {bright}: it has high dynamic range" in table
    cells = [row["notes"] for row in csv.DictReader(io.StringIO(output.read_text(encoding="utf-8")))]
    assert cells == ["", second["notes"][0], third["notes"][0]]
    assert score(plain, wide, bright, "--output", tmp_path / "x.jsonl").status == 0
    lines = (tmp_path / "x.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line).get("notes") for line in lines] == [None, second["notes"], third["notes"]]


def test_a_name_that_begins_with_a_dash_is_scored_and_what_is_no_file_is_refused(score, clips, monkeypatch, encode):
    encode("-lead.mp4", 12).rename(clips / "-lead.mp4")
    monkeypatch.chdir(clips)
    (row,) = score("--json", "--", "-lead.mp4").rows
    assert row["id"] == "-lead.mp4" and row["VQ"] is not None
    rows = score("a.mp4", "http://example.org/a.mp4", "--json").rows
    assert "error" not in rows[0] and "is an address on the network; only files are read" in rows[1]["error"]
    assert "standard input is not read" in score("-").err


def test_csv_and_jsonl_outputs_hold_what_json_prints(score, clips, tmp_path):
    printed = score(clips, "--prompt", 'a "cat", a dog\nand 猫', "--json").rows
    assert score(clips, "--prompt", 'a "cat", a dog\nand 猫', "--output", tmp_path / "new" / "x.jsonl").status == 0
    assert score(clips, "--prompt", 'a "cat", a dog\nand 猫', "--output", tmp_path / "x.csv", "--json").rows == printed
    lines = (tmp_path / "new" / "x.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == printed
    table = list(csv.DictReader(io.StringIO((tmp_path / "x.csv").read_bytes().decode(), newline="")))
    assert [row["prompt"] for row in table] == ['a "cat", a dog\nand 猫'] * 4
    for row, answer in zip(table, printed, strict=True):
        assert [float(row[name]) for name in ("VQ", "MQ", "TA", "Overall")] == [
            answer[name] for name in ("VQ", "MQ", "TA", "Overall")
        ]
        assert [float(row[f"{name}_raw"]) for name in ("VQ", "MQ", "TA")] == list(answer["raw"].values())
        assert row["frame_indices"].split() == list(map(str, answer["frame_indices"]))


def test_a_finished_run_is_repeated_from_its_journal(score, clips, tmp_path, interrupt_after):
    arguments = (clips, "--prompt", "a cat", "--output", tmp_path / "x.jsonl", "--json")
    first = score(*arguments)
    content = (tmp_path / "x.jsonl").read_bytes()
    interrupt_after(0)  # nothing may be scored again
    again = score(*arguments)
    assert (again.status, again.rows) == (0, first.rows)
    assert (tmp_path / "x.jsonl").read_bytes() == content
    assert "4 of 4 rows are done already" in again.err


def test_only_a_changed_row_is_scored_again(score, clips, manifest, tmp_path):
    output = ("--output", tmp_path / "x.jsonl", "--json")
    before = by_id(score("--manifest", manifest(("a.mp4", "a cat"), ("b.mp4", "a cat")), *output))
    after = by_id(score("--manifest", manifest(("a.mp4", "a cat"), ("b.mp4", "a dog")), *output))
    assert after["a.mp4"] == before["a.mp4"]
    assert after["b.mp4"]["prompt"] == "a dog"
    assert after["b.mp4"]["raw"]["VQ"] == pytest.approx(before["b.mp4"]["raw"]["VQ"], abs=1e-5)
    assert after["b.mp4"]["TA"] != before["b.mp4"]["TA"]
    part = (tmp_path / "x.jsonl.run" / "part-0-of-1.jsonl").read_text().splitlines()
    assert [json.loads(line)["row"]["id"] for line in part] == ["a.mp4", "b.mp4", "b.mp4"]


def test_a_repaired_clip_is_scored_and_the_others_are_kept(score, clips, tmp_path):
    whole = (clips / "b.mp4").read_bytes()
    (clips / "b.mp4").write_bytes(whole[: len(whole) // 2])
    arguments = (clips, "--prompt", "a cat", "--output", tmp_path / "x.csv", "--json")
    assert score(*arguments).status == 1
    (clips / "b.mp4").write_bytes(whole)
    repaired = score(*arguments)
    assert repaired.status == 0
    assert "3 of 4 rows are done already" in repaired.err
    assert repaired.rows[-1]["id"].endswith("b.mp4")


def test_other_settings_or_another_model_are_refused_for_the_same_output(score, videoalign, clips, tmp_path):
    output = ("--prompt", "a cat", "--output", tmp_path / "x.csv")
    assert score(clips / "a.mp4", *output).status == 0
    changed = score(clips / "a.mp4", *output, "--sampling.num-frames", 4)
    assert (changed.status, changed.out) == (1, "")
    assert "another sampling" in changed.err
    model = ("--model", VIDEOREWARD / "checkpoints" / "ckpt_dim3", "--dtype", "bfloat16")
    other = videoalign("score", clips / "a.mp4", *output, *model)
    assert other.status == 1
    assert "another model, dtype" in other.err
    assert score(clips / "a.mp4", *output, "--sampling.num-frames", 4, "--overwrite").status == 0


def test_the_processor_chooses_the_arithmetic_of_a_bfloat16_checkpoint_and_no_journal_mixes_two(
    videoalign, clips, tmp_path, monkeypatch
):
    """The two types differ by at most 0.25 in a raw score: so do two kernels of the official code in bfloat16 (0.156 at most)."""
    raw = {}
    model = ("--model", VIDEOREWARD / "checkpoints" / "ckpt_full", "--prompt", "a cat", "--device", "cpu", "--json")
    for dtype, has in (("float32", False), ("bfloat16", True)):
        monkeypatch.setattr(devices, "cpu_multiplies_bfloat16", lambda has=has: has)
        outcome = videoalign("score", clips / "a.mp4", *model, "--output", tmp_path / f"{dtype}.csv")
        assert outcome.status == 0
        assert json.loads((tmp_path / f"{dtype}.csv.run" / "run.json").read_text())["dtype"] == dtype
        [row] = outcome.rows
        raw[dtype] = row["raw"]
        asked = videoalign("score", clips / "a.mp4", *model, "--dtype", dtype)
        assert asked.rows[0]["raw"] == row["raw"]
    assert 0 < max(abs(raw["float32"][name] - raw["bfloat16"][name]) for name in raw["float32"]) <= 0.25
    again = videoalign("score", clips / "a.mp4", *model, "--output", tmp_path / "float32.csv")
    assert again.status == 1 and "another dtype" in again.err


def test_an_output_that_cannot_be_used_is_refused_before_the_model_is_loaded(videoalign, clips, tmp_path):
    (tmp_path / "mine.csv").write_text("precious")
    for name, words in (("mine.csv", "was not made by an unfinished run"), ("x.txt", "must end in .csv or .jsonl")):
        outcome = videoalign("score", clips, "--model", "nowhere", "--output", tmp_path / name)
        assert outcome.status == 1
        assert words in outcome.err
    assert (tmp_path / "mine.csv").read_text() == "precious"


def test_the_order_of_rows_and_the_batch_size_do_not_change_a_score(score, clips):
    together = by_id(score(clips, "--prompt", "a cat", "--json"))
    alone = by_id(
        score(
            *sorted(clips.glob("*.mp4"))[::-1], "--prompt", "a cat", "--json", "--batch-size", 1, "--decode-threads", 0
        )
    )
    for name, row in together.items():
        assert row["raw"] == pytest.approx(alone[name]["raw"], abs=1e-5)


def test_sampling_can_be_overridden_and_the_result_says_so(score, clips):
    (usual,) = score(clips / "d.mp4", "--json").rows
    (two,) = score(clips / "d.mp4", "--json", "--sampling.num-frames", 2).rows
    (wide,) = score(clips / "d.mp4", "--json", "--sampling.max-pixels", 110_000).rows
    assert (usual["frame_indices"], two["frame_indices"]) == ([0, 1, 3, 4], [0, 4])
    assert wide["size"][0] * wide["size"][1] <= 110_000
    (small,) = score(clips / "d.mp4", "--json", "--sampling.max-pixels", 50_000).rows
    assert small["size"][0] * small["size"][1] <= 50_000  # below the checkpoint's own lower bound of 100352


def test_a_rate_given_for_all_fills_in_where_a_row_has_none(score, clips, manifest):
    rows = manifest({"id": "own", "path": "a.mp4", "fps": 4}, {"id": "given", "path": "a.mp4"})
    answers = by_id(score("--manifest", rows, "--fps", 7, "--json"))
    assert (answers["own"]["fps"], answers["given"]["fps"]) == (4.0, 7.0)


def test_text_that_the_terminal_cannot_show_is_escaped_and_stops_nothing(score, clips, manifest, monkeypatch):
    rows = manifest(
        {"id": "猫", "path": "a.mp4", "prompt": "猫 🎈 é"}, {"id": "broken", "path": "b.mp4", "prompt": "\ud800"}
    )
    for arguments in (["--json"], []):
        stdout = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
        monkeypatch.setattr(sys, "stdout", stdout)
        assert score("--manifest", rows, *arguments).status == 1
        stdout.flush()
        printed = stdout.buffer.getvalue().decode("cp1252")
        if arguments:
            assert [json.loads(line)["prompt"] for line in printed.splitlines()] == ["猫 🎈 é", "\ud800"]
        else:
            assert "\\u732b \\U0001f388 é" in printed


def test_an_interrupted_run_says_how_to_go_on_and_keeps_what_is_done(score, clips, tmp_path, interrupt_after):
    arguments = (clips, "--prompt", "a cat", "--output", tmp_path / "x.csv")
    interrupt_after(2)
    stopped = score(*arguments)
    assert stopped.status == 130
    assert "Run the same command again to go on" in stopped.err
    interrupt_after(None)
    assert "2 of 4 rows are done already" in score(*arguments).err
    score(clips, "--prompt", "a cat", "--output", tmp_path / "y.csv")
    assert (tmp_path / "x.csv").read_bytes() == (tmp_path / "y.csv").read_bytes()


def test_many_rows_are_summarised_when_there_is_a_file_that_has_them(score, clips, tmp_path, monkeypatch):
    monkeypatch.setattr(score_command, "LONG_TABLE", 3)
    outcome = score(clips, "--prompt", "a cat", "--output", tmp_path / "x.csv")
    assert "Overall: mean" in outcome.out
    assert "a.mp4" not in outcome.out
