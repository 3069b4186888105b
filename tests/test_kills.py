"""``kill -9`` at random moments: the same command, given again, ends with what an uninterrupted run makes; what was acknowledged is kept.

    pytest --run-slow --kills 40 tests/test_kills.py -s

The kills are shared by the commands. A kill is at a moment, drawn by a seed, between a process's first change in its output folder and
the time that a whole run takes from there.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from small_runs import RUNS, result_of

from videoalign.clips.video_file import read_video
from videoalign.files.journal import read_journal
from videoalign.preferences.reading import read_preferences

SEED = 11
KILLED = ("score", "generate", "train dpo", "align")
COMMANDS = (*KILLED, "choose")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX's")]


@pytest.fixture
def kills(request):
    """How many each command gets."""
    return max(1, request.config.getoption("--kills") // len(COMMANDS))


def start(words, world, **options):
    command = [sys.executable, "-m", "videoalign.cli.main", *words]
    return subprocess.Popen(command, cwd=world, stderr=subprocess.PIPE, text=True, **options)


def finish(words, world, output):
    """Seconds from the first change in the output folder to the end of a command that nobody kills."""
    process = start(words, world, stdout=subprocess.DEVNULL)
    wait_for(output, process)
    begun = time.monotonic()
    _, said = process.communicate()
    assert process.returncode == 0, said
    return time.monotonic() - begun


def wait_for(folder, process):
    """Until something in the folder changes, or the process has ended."""
    before = snapshot(folder)
    while snapshot(folder) == before and process.poll() is None:
        time.sleep(0.01)


def snapshot(folder):
    """Paths and times of all that is in a folder."""
    found = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            found[path] = path.stat().st_mtime_ns
    return found


def clips_that_differ(found, expected, output, whole):
    """Names of clips whose bytes differ; their pixels must not. What is no clip must be equal."""
    differing = [name for name in expected if found[name] != expected[name]]
    for name in differing:
        assert name.endswith(".mp4"), f"{name} differs from that of the uninterrupted run"
        ours, theirs = (read_video(folder / name)[0] for folder in (output, whole))
        assert np.array_equal(ours, theirs), f"{name} has other pixels than that of the uninterrupted run"
    return differing


@pytest.mark.parametrize("name", KILLED)
def test_killed_at_random_moments_the_result_is_the_uninterrupted_ones(name, kills, small_world, whole_runs, tmp_path):
    expected, chance = whole_runs[name], random.Random(SEED)
    lasts = finish(RUNS[name].arguments(tmp_path / "measured"), small_world, tmp_path / "measured")
    done = runs = 0
    other_bytes = []
    while done < kills:
        output = tmp_path / f"run{runs}"
        words = RUNS[name].arguments(output)
        for _ in range(3):  # kills of one run, unless it is done before
            if done == kills:
                break
            process = start(words, small_world, stdout=subprocess.DEVNULL)
            wait_for(output, process)  # not while it imports: nothing of ours happens then
            try:
                process.communicate(timeout=chance.uniform(0, lasts))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                done += 1
        finish(words, small_world, output)
        other_bytes += clips_that_differ(result_of(RUNS[name], output), expected, output, whole_runs.output(name))
        assert not list(output.rglob("*.tmp")), "what a killed process left half-written was not removed"
        runs += 1
    print(f"\n{name}: {done} kills, {runs} of {runs} results equal", end="")
    print(f", {len(other_bytes)} clips in other bytes with equal pixels" if other_bytes else "")


def test_choices_that_were_acknowledged_are_kept(kills, small_world, tmp_path):
    folder, chance = tmp_path / "chosen", random.Random(SEED)
    folder.mkdir()
    rows = [json.loads(line) for line in (small_world / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    for number in range(len(rows) * 4):  # 48 clips of one prompt: 1128 pairs
        shutil.copy(small_world / rows[number % len(rows)]["path"], folder / f"{number}.mp4")
    words = ["choose", str(folder), "--prompt", "a circle", "--chooser", "Anna", "--no-browser"]
    acknowledged = {}
    for _ in range(kills):
        process = start(words, small_world, stdout=subprocess.PIPE)
        url = process.stdout.readline().strip()
        until = time.monotonic() + chance.uniform(0.0, 1.5)
        state = ask(url, "state", {})
        killer = subprocess.Popen([sys.executable, "-c", KILL, str(process.pid), str(until - time.monotonic())])
        while state is not None and state["waiting"]:
            pair, answer = state["waiting"][0]["pair"], chance.choice(["A", "B", "same"])
            state = ask(url, "choose", {"pair": pair, "answers": {"Overall": answer}})
            if state is not None:
                acknowledged[pair] = answer
        killer.wait()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    content = read_journal(folder / "choices_Anna.jsonl")
    kept = {
        pair.id: pair.in_source_order().labels["Overall"] for pair in read_preferences(folder / "choices_Anna.jsonl")
    }
    assert not content.damaged and len(kept) == len(content.records)
    assert {name: kept.get(name) for name in acknowledged} == acknowledged
    assert len(kept) - len(acknowledged) <= kills  # at most one a kill was kept whose answer did not arrive
    print(
        f"\nchoose: {kills} kills, {len(acknowledged)} of {len(acknowledged)} acknowledged choices kept, {len(kept)} in the file"
    )


KILL = "import os, signal, sys, time; time.sleep(max(0, float(sys.argv[2]))); os.kill(int(sys.argv[1]), signal.SIGKILL)"


def ask(url, action, values):
    """The page's answer; None when there is nobody to answer any more."""
    request = urllib.request.Request(url + action, json.dumps(values).encode())
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except (OSError, ValueError, urllib.error.URLError):
        return None
