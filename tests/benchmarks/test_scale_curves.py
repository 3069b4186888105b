"""The operations whose growth is measured: each runs on the files that are made for it, and does what it is called."""

import csv
import json

import pytest
import scale_curves
from scale_operations import OPERATIONS

ROWS = 12


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_runs_on_its_own_files(name, tmp_path):
    OPERATIONS[name].begin(tmp_path, ROWS)()


def test_resuming_judges_nothing_and_writes_every_row(tmp_path):
    work = OPERATIONS[scale_curves.RESUMED].begin(tmp_path, ROWS)
    journal = tmp_path / "scores.csv.run" / "part-0-of-1.jsonl"
    before = journal.read_bytes()
    work()
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
        assert [row["id"] for row in csv.DictReader(file)] == [f"row {number}" for number in range(ROWS)]
    assert journal.read_bytes() == before


def test_seconds_and_memory_are_of_a_process_of_its_own(capsys):
    taken = scale_curves.in_a_fresh_process("choose merge, three people", 50)
    assert set(taken) == {"cpu", "clock", "memory"} and taken["cpu"] > 0


def test_what_is_merged_are_the_choices_of_three(tmp_path):
    OPERATIONS["choose merge, three people"].begin(tmp_path, ROWS)()
    pairs = [json.loads(line) for line in (tmp_path / "merged.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(pairs) == ROWS and {pair["source"]["columns"]["choosers"] for pair in pairs} == {"Anna, Ben, Cleo"}
