"""The check of a GPU, rehearsed on a CPU: it runs to the end, and says so where something is wrong."""

import json
import subprocess
import sys
from types import SimpleNamespace

import gpu_check
import pytest
import torch
from gpu_checks import scoring, training
from gpu_checks.case import Bench, Check, Outcome, run_check
from machine import REPOSITORY

CPU = Bench(torch.device("cpu"), real=False)


class Lines:
    """A section that keeps what is told to it."""

    def __init__(self):
        self.rows, self.notes = [], []

    def table(self, *columns):
        self.columns = columns

    def row(self, *cells):
        assert len(cells) == len(self.columns)
        self.rows.append(cells)

    def note(self, text):
        self.notes.append(text)

    def aim(self, name, value, **limits):
        self.failed = value


@pytest.mark.long
def test_the_rehearsal_runs_every_check_and_writes_all_numbers(tmp_path):
    numbers = tmp_path / "numbers.json"
    command = [sys.executable, REPOSITORY / "benchmarks" / "gpu_check.py", "--rehearse", "--json", numbers]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    outcomes = json.loads(numbers.read_text(encoding="utf-8"))
    assert list(outcomes) == [check.name for check in gpu_check.all_checks()]
    wrong = {name: one["wrong"] for name, one in outcomes.items() if one["wrong"]}
    assert all(text.startswith("left out: COMFYUI_PATH") for text in wrong.values())
    steps = [one for name, one in outcomes.items() if "a step, Wan" in name]
    assert len(steps) == len(training.FORMS) and all(one["facts"]["largest gradient"] > 0 for one in steps)
    assert all(one["seconds"] > 0 for one in steps)
    assert "Aim met: checks that failed is 0" in done.stdout


def test_all_that_fits_stays_within_eight_minutes():
    checks = gpu_check.all_checks()
    assert sum(check.expected for check in checks) <= 60 * gpu_check.MINUTES
    assert len({check.name for check in checks}) == len(checks)


def test_a_check_that_fails_is_told_and_the_next_one_still_runs():
    def broken(bench):
        raise RuntimeError("no kernel image is available")

    checks = [Check("first", 1, broken), Check("second", 1, lambda bench: Outcome(seconds=1.0))]
    lines = Lines()
    outcomes = gpu_check.report(lines, checks, CPU, SimpleNamespace(plan=False, minutes=1.0))
    assert outcomes["second"].seconds == 1.0 and not outcomes["second"].wrong
    assert lines.failed == 1 and lines.notes == ["first: RuntimeError: no kernel image is available"]


def test_what_the_minutes_do_not_hold_is_left_out_and_said():
    real = Bench(torch.device("cpu"), real=True)
    ran = []
    checks = [
        Check("long", 90, ran.append),
        Check("short", 1, lambda bench: ran.append("short") or Outcome(seconds=1.0)),
    ]
    lines = Lines()
    gpu_check.report(lines, checks, real, SimpleNamespace(plan=False, minutes=1.0))
    assert ran == ["short"]
    assert lines.failed == 0 and lines.notes == ["long: left out: 1 minutes do not hold it"]


def test_scores_of_the_device_that_are_off_by_more_than_rounding_are_noticed(monkeypatch):
    assert not scoring.agreement(CPU).wrong
    made = scoring.random_video_reward

    def wrong_on_the_device(dtype, device, sizes):
        model = made(dtype, device, sizes)
        counted.append(dtype)
        if len(counted) == 3:
            # About what TF32 would do to the head: products of eleven bits.
            model.network.rm_head.weight.data *= 1 + 2**-11
        return model

    counted = []
    monkeypatch.setattr(scoring, "random_video_reward", wrong_on_the_device)
    assert "scores differ by" in run_check(Check("agreement", 1, scoring.agreement), CPU).wrong


def test_a_step_without_gradients_is_noticed(monkeypatch):
    """The reference alone has none."""
    from videoalign.training.flow.methods.dpo import FlowDpo

    monkeypatch.setattr(FlowDpo, "__call__", lambda self, network, batch: (batch.weight.clone().requires_grad_(), {}))
    assert run_check(Check("step", 1, lambda bench: training.step("Flow-DPO, joint", bench)), CPU).wrong
