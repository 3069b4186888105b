"""Killed runs and several processes give the table of one uninterrupted process, to the last digit."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

TORCHRUN = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "-m"]
# Without --multi_gpu accelerate starts a single process on a machine without GPUs.
ACCELERATE = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
ACCELERATE += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "-m"]
ROWS = 14


@pytest.fixture
def rows(manifest):
    """A manifest with clips of different lengths, several captions on some, and one row that fails."""
    pairs = [("abcd"[n % 4] + ".mp4", f"caption {n} " + "of some length " * (n % 3)) for n in range(ROWS - 3)]
    return manifest(*pairs, ("a.mp4", "first of two"), ("a.mp4", "second of two"), ("missing.mp4", "a cat"))


@pytest.fixture
def uninterrupted(score, rows, tmp_path):
    """The table of one process that nobody disturbs."""
    assert score("--manifest", rows, "--output", tmp_path / "whole.csv", "--batch-size", 2).status == 1
    return (tmp_path / "whole.csv").read_bytes()


@pytest.fixture
def start(checkpoint, rows, tmp_path):
    """Start ``videoalign score`` of the rows into ``x.csv`` in a subprocess of its own, by a launcher or without."""
    started = []

    def launch(launcher=("-m",)):
        command = [sys.executable, *launcher, "videoalign.cli.main", "score", "--manifest", str(rows)]
        command += ["--model", str(checkpoint), "--dtype", "float32", "--device", "cpu", "--batch-size", "2"]
        command += ["--output", str(tmp_path / "x.csv")]
        environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
        log = (tmp_path / f"log{len(started)}.txt").open("w")
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        started.append((process, log))
        return process

    yield launch
    for process, log in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


def wait_for_rows(tmp_path, count, process):
    """Return once the journal holds ``count`` rows, or the process has ended."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if rows_in_journal(tmp_path) >= count:
            return
        time.sleep(0.005)


def rows_in_journal(tmp_path):
    return sum(part.read_bytes().count(b"\n") for part in (tmp_path / "x.csv.run").glob("part-*.jsonl"))


def a_random_moment():
    moment = random.SystemRandom().randint(1, ROWS - 4)
    print(f"killed after {moment} rows")  # pytest shows it when the test fails
    return moment


def log_of(tmp_path):
    return "\n".join(path.read_text() for path in sorted(tmp_path.glob("log*.txt")))


@pytest.mark.long
def test_a_run_killed_at_a_random_moment_and_resumed_gives_the_uninterrupted_table(
    start, score, rows, tmp_path, uninterrupted
):
    process = start()
    wait_for_rows(tmp_path, a_random_moment(), process)
    process.kill()
    process.wait()
    assert not (tmp_path / "x.csv").exists(), log_of(tmp_path)
    assert rows_in_journal(tmp_path) > 0, log_of(tmp_path)
    resumed = score("--manifest", rows, "--output", tmp_path / "x.csv", "--batch-size", 2)
    assert "rows are done already" in resumed.err
    assert (tmp_path / "x.csv").read_bytes() == uninterrupted


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the workers of torchrun are looked up in /proc")
def test_torchrun_with_one_of_two_processes_killed_is_resumed_by_one(start, score, rows, tmp_path, uninterrupted):
    launcher = start(TORCHRUN)
    wait_for_rows(tmp_path, a_random_moment() // 2 + 1, launcher)
    workers = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    assert len(workers) == 2, log_of(tmp_path)
    os.kill(int(random.choice(workers)), signal.SIGKILL)
    assert launcher.wait(timeout=120) != 0
    assert not (tmp_path / "x.csv").exists(), log_of(tmp_path)
    assert score("--manifest", rows, "--output", tmp_path / "x.csv", "--batch-size", 2).status == 1
    assert (tmp_path / "x.csv").read_bytes() == uninterrupted


@pytest.mark.slow  # the four processes of a job array share by the same claims
def test_torchrun_with_two_processes_gives_the_table_of_one_and_tells_of_the_failed_row(start, tmp_path, uninterrupted):
    status = start(TORCHRUN).wait(timeout=240)
    assert (tmp_path / "x.csv").read_bytes() == uninterrupted, log_of(tmp_path)
    assert status == 1  # only once every row of both processes is done
    parts = {path.name for path in (tmp_path / "x.csv.run").glob("part-*")}
    assert parts and parts <= {"part-0-of-2.jsonl", "part-1-of-2.jsonl"}  # one that starts late finds nothing left


@pytest.mark.slow
@pytest.mark.skipif(find_spec("accelerate") is None, reason="accelerate is not installed")
def test_accelerate_resumes_with_two_processes_what_one_began(
    start, score, rows, tmp_path, uninterrupted, interrupt_after
):
    interrupt_after(5)
    assert score("--manifest", rows, "--output", tmp_path / "x.csv", "--batch-size", 2).status == 130
    interrupt_after(None)
    status = start(ACCELERATE).wait(timeout=240)
    assert (tmp_path / "x.csv").read_bytes() == uninterrupted, log_of(tmp_path)
    assert status == 1
    assert list((tmp_path / "x.csv.run").glob("part-*-of-2.jsonl")), log_of(tmp_path)


@pytest.mark.long
def test_four_processes_of_a_job_array_of_which_one_is_killed_give_the_table_of_one(start, tmp_path, uninterrupted):
    """Each is started by itself, as on the machines of a cluster; the killed one's rows are taken over by the others."""
    processes = [start() for _ in range(4)]
    wait_for_rows(tmp_path, 1, processes[0])
    taken = [json.loads(line) for line in (tmp_path / "x.csv.run" / "claims.jsonl").read_text().splitlines()]
    owner = next(line["by"] for line in taken if "take" in line)
    killed = next(process for process in processes if f"-{process.pid}-" in owner)
    killed.kill()
    killed.wait()
    statuses = [process.wait(timeout=240) for process in processes if process is not killed]
    assert (tmp_path / "x.csv").read_bytes() == uninterrupted, log_of(tmp_path)
    assert 1 in statuses and "1 of 14 rows failed" in log_of(tmp_path)  # the row that cannot be scored


class Elsewhere:
    """Another process that is at work in the same folder until the test says that it has left."""

    SCRIPT = (
        "import pathlib, sys; from videoalign.files.claims import Claims\n"
        "with Claims(pathlib.Path(sys.argv[1])): print('there', flush=True); sys.stdin.readline()"
    )

    def __init__(self, folder):
        command = [sys.executable, "-c", self.SCRIPT, str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "there\n"

    def leaves(self):
        self.process.communicate("\n")


def test_while_another_process_is_at_work_it_is_left_to_write_the_table(
    score, rows, tmp_path, uninterrupted, monkeypatch
):
    monkeypatch.setenv("WORLD_SIZE", "2")
    options = ("--manifest", rows, "--output", tmp_path / "x.csv", "--batch-size", 2)
    elsewhere = Elsewhere(tmp_path / "x.csv.run")
    for rank, launched, status in ((0, False, 1), (1, True, 0)):  # a launcher ends all as soon as one fails
        monkeypatch.setenv("RANK", str(rank))
        if launched:
            monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
        outcome = score(*options)
        assert (outcome.status, (tmp_path / "x.csv").exists()) == (status, False)
        assert f"Process {rank} of 2 is done (1 rows failed)" in outcome.err
    refused = score(*options, "--overwrite")
    assert refused.status == 1 and "does not work with several processes" in refused.err
    monkeypatch.delenv("WORLD_SIZE")
    assert "does not work with several processes" in score(*options, "--overwrite").err
    elsewhere.leaves()
    assert score(*options).status == 1
    assert (tmp_path / "x.csv").read_bytes() == uninterrupted


def test_several_processes_without_an_output_are_refused_before_any_work(score, rows, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    outcome = score("--manifest", rows)
    assert outcome.status == 1
    assert "2 processes need --output" in outcome.err
