"""The log of a run: lines that a killed run left half-written do no harm, repeated steps stand once."""

import math

from videoalign.training.loop.log_file import append_log, forget_later_lines, read_log


def test_what_is_written_is_read_with_numbers_that_are_not_finite(tmp_path):
    file = tmp_path / "run" / "log.jsonl"
    assert read_log(file) == []
    append_log(file, {"step": 1, "kind": "train", "loss": 0.5})
    append_log(file, {"step": 2, "kind": "eval", "loss": math.nan})
    first, second = read_log(file)
    assert first == {"step": 1, "kind": "train", "loss": 0.5}
    assert second["step"] == 2 and math.isnan(second["loss"])


def test_a_torn_last_line_and_a_damaged_one_are_left_out_and_the_next_line_stands_alone(tmp_path):
    file = tmp_path / "log.jsonl"
    file.write_bytes(b'{"step": 1, "kind": "train"}\n{"step": \xff\n{"step": 2, "kind": "tra')
    assert [line["step"] for line in read_log(file)] == [1]
    append_log(file, {"step": 2, "kind": "train"})
    assert [line["step"] for line in read_log(file)] == [1, 2]


def test_steps_that_will_be_repeated_are_forgotten(tmp_path):
    file = tmp_path / "log.jsonl"
    forget_later_lines(file, 0)
    assert not file.exists()
    for step in (1, 2, 3, 4):
        append_log(file, {"step": step, "kind": "train"})
    forget_later_lines(file, 2)
    assert [line["step"] for line in read_log(file)] == [1, 2]
