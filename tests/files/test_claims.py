"""Processes that share pieces of work: each piece is done once, and what a killed one had is taken over."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from videoalign.files.claims import TABLE, Claims, in_turn

WORKER = """
import pathlib, sys, time
from videoalign.files.claims import Claims, in_turn
from videoalign.files.journal import append_records, read_journal
folder, name, seconds, count = pathlib.Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
with Claims(folder) as claims:
    there = {line["piece"] for line in read_journal(folder / "results.jsonl").records}
    pieces = [str(number) for number in range(count) if str(number) not in there]
    for stream in in_turn(claims, pieces):
        for piece in stream:
            print(piece, flush=True)
            time.sleep(seconds)
            append_records(folder / "results.jsonl", [{"piece": piece, "by": name}])
            claims.finish(piece)
    print("last" if claims.leave() else "not the last", flush=True)
"""


@pytest.fixture
def worker(tmp_path):
    """Start a process that takes pieces, ``seconds`` each."""
    started = []

    def start(name, seconds, count=40):
        command = [sys.executable, "-c", WORKER, str(tmp_path), name, str(seconds), str(count)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def results(tmp_path):
    return [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]


def test_a_slow_process_does_not_hold_up_the_rest_and_the_last_one_says_so(worker, tmp_path):
    slow, *fast = worker("slow", 2.0), worker("a", 0.05), worker("b", 0.05)
    said = [process.communicate(timeout=120)[0].split("\n") for process in (slow, *fast)]
    done = results(tmp_path)
    assert sorted(int(line["piece"]) for line in done) == list(range(40))  # each once
    assert Counter(line["by"] for line in done)["slow"] < 40 / 3
    assert sum("last" in lines for lines in said) == 1


def test_what_a_killed_process_had_is_done_by_another(worker, tmp_path):
    stuck = worker("stuck", 600)
    held = stuck.stdout.readline().strip()  # it has a piece
    other = worker("other", 0.01)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not ((tmp_path / "results.jsonl").exists() and len(results(tmp_path)) == 39):
        time.sleep(0.05)
    assert other.poll() is None and held not in {line["piece"] for line in results(tmp_path)}  # it waits
    os.kill(stuck.pid, signal.SIGKILL)
    stuck.wait()
    assert other.communicate(timeout=60)[0].split()[-1] == "last"
    assert sorted(int(line["piece"]) for line in results(tmp_path)) == list(range(40))


def test_one_process_takes_all_in_order_and_its_claims_are_forgotten_by_the_next_run(tmp_path):
    for _ in range(2):  # whether a piece is done already is told by results, not by claims of a run that is over
        with Claims(tmp_path) as claims:
            taken = []
            for stream in in_turn(claims, ["a", "b", "c"]):
                for piece in stream:
                    taken.append(piece)
                    claims.finish(piece)
            assert taken == ["a", "b", "c"] and claims.leave()
    assert len((tmp_path / TABLE).read_text().splitlines()) == 7
    assert not list(tmp_path.glob("*.alive.lock")) and not list(tmp_path.glob(".*.alive.lock"))


def test_an_error_gives_the_pieces_back_and_half_a_line_is_no_claim(tmp_path):
    with pytest.raises(RuntimeError), Claims(tmp_path) as claims:
        assert claims.take(iter(["a", "b"])) == "a"
        raise RuntimeError("the disk is full, say")
    with (tmp_path / TABLE).open("a") as table:
        table.write('{"take": "b", "by"')
    with Claims(tmp_path) as claims:
        pieces = iter(["a", "b"])
        assert [claims.take(pieces) for _ in range(3)] == ["a", "b", None]
