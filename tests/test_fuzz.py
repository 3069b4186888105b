"""Damaged files of every kind that the program reads: read, or refused with a sentence. Never a traceback, a hang, a silent NaN.

Journals and training states must notice what is wrong with them: what they give is what was put in. A clip, a table or a
file of weights has no checksum of its own, so that a flipped bit in a prompt or a weight is another prompt or weight.

Each file comes from its target and its seed alone; a failure prints how to make and read it again.
"""

import json
import queue
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

import pytest
from fuzz_targets import CLIPS, TARGETS

WORKER = Path(__file__).with_name("fuzz_worker.py")
SECONDS = 120  # without an answer: a hang. The slowest file takes about one on an idle machine.
START_SECONDS = 600  # until a process has loaded what it reads with
BATCH = 100
COUNTS = {"clip": 50 * len(CLIPS), "lora": 60, "latent_reward": 60, "video_reward": 60, "official": 50, "network": 40, "safetensors": 100, "state": 100,
          "score_journal": 60, "generation": 60}  # fmt: skip
"""Files of each target in the whole run; 40 of each other one."""
QUICK = 2
OPEN_ENDED = ("same", "other", "refused")


def read_all(jobs):
    """The outcomes of (target, seed) in order; a worker that dies or hangs is replaced, and the file is to blame."""
    outcomes, left = [], list(jobs)
    while left:
        batch = left[:BATCH]
        command = [sys.executable, str(WORKER), *(f"{name}:{seed}" for name, seed in batch)]
        with (
            tempfile.TemporaryFile() as told,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, text=True, encoding="utf-8") as process,
        ):
            lines = queue.Queue()
            threading.Thread(target=_forward, args=(process.stdout, lines), daemon=True).start()
            answered, ready = 0, False
            while answered < len(batch):
                try:
                    line = lines.get(timeout=SECONDS if ready else START_SECONDS)
                except queue.Empty:
                    line = None
                if not line:
                    process.kill()
                    name, seed = batch[answered]
                    why = f"no answer for {SECONDS} s" if line is None else f"the process ended with {process.wait()}"
                    told.seek(0)
                    why += "\n" + told.read().decode("utf-8", "replace")[-2000:]
                    outcomes.append(
                        {"target": name, "seed": seed, "outcome": "hang" if line is None else "crash", "why": why}
                    )
                    answered += 1
                    break
                if not ready:
                    ready = True
                    continue
                outcomes.append(json.loads(line))
                answered += 1
        left = left[answered:]
    return outcomes


def _forward(stream, lines):
    for line in stream:
        lines.put(line)
    lines.put("")


def failures(outcomes):
    """A text for each file that was not read right, with the command that reads it again."""
    return [
        f"{one['target']} {one['seed']}: {one['outcome']}\n{one.get('why', '')}\nAgain, the file kept: python tests/fuzz_worker.py --keep FOLDER "
        f"{one['target']}:{one['seed']}"
        for one in outcomes
        if one["outcome"] not in OPEN_ENDED
    ]


def test_a_few_damaged_files_of_every_kind_are_read_or_refused():
    slow = {"official", "video_reward", "config"}  # seconds of loading before the first
    jobs = [
        (name, seed)
        for name in TARGETS
        if name not in slow
        for seed in range(QUICK + (name == "clip") * (len(CLIPS) - QUICK))
    ]
    outcomes = read_all(jobs)
    assert len(outcomes) == len(jobs) >= 50
    assert not failures(outcomes), "\n\n".join(failures(outcomes))
    assert (
        len(Counter(one["outcome"] for one in outcomes)) == 3
    )  # the damage is neither always harmless nor always noticed


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_read_or_refused(name):
    count = COUNTS.get(name, 40)
    outcomes = read_all([(name, seed) for seed in range(count)])
    assert len(outcomes) == count
    found = Counter(one["outcome"] for one in outcomes)
    print(
        f"\n| {name} | {count} | "
        + " | ".join(str(found[kind]) for kind in (*OPEN_ENDED, "traceback", "hang", "crash", "nan", "wrong"))
        + " |"
    )
    assert not failures(outcomes), "\n\n".join(failures(outcomes))


def test_the_whole_run_is_of_a_thousand_files_and_more():
    assert sum(COUNTS.get(name, 40) for name in TARGETS) >= 1000


@pytest.mark.long
@pytest.mark.parametrize(
    ("reader", "outcome"),
    [("lambda path: float('nan')", "nan"), ("lambda path: 1 / 0", "traceback"), ("lambda path: __import__('os')._exit(3)", "crash"),
     ("lambda path: __import__('time').sleep(999)", "hang")],
)  # fmt: skip
def test_what_goes_wrong_is_noticed(monkeypatch, tmp_path, reader, outcome):
    """A reader that is wrong on damaged files alone, in the place of a real one."""
    worker = tmp_path / "worker.py"
    tests = str(WORKER.parent)
    worker.write_text(
        f"import sys; sys.path[:0] = [{tests!r}]\n"
        "import fuzz_targets, fuzz_worker\n"
        "real = fuzz_targets.TARGETS['prompts']\n"
        "calls = []\n"
        f"read = lambda path: calls.append(1) or ({reader})(path) if calls else calls.append(1) or real.read(path)\n"
        "fuzz_targets.TARGETS['prompts'] = real._replace(read=read)\n"
        "fuzz_worker.main()\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(sys.modules[__name__], "WORKER", worker)
    monkeypatch.setattr(sys.modules[__name__], "SECONDS", 5)
    (one,) = read_all([("prompts", 0)])
    assert one["outcome"] == outcome and "prompts:0" in failures([one])[0]
