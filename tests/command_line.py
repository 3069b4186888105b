"""Fixtures of the tests of commands: the shipped tiny checkpoint and clips, and the command line inside the test process."""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from videoalign.cli.main import main
from videoalign.reward import scoring_stream

VIDEOREWARD = Path(__file__).resolve().parent / "data" / "videoreward"


class Outcome(NamedTuple):
    """What a call of the command line left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str

    @property
    def rows(self):
        """Standard output as JSON lines; fails when anything else is there."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture(scope="session")
def checkpoint():
    """A tiny VideoReward with random weights, in the released layout."""
    return VIDEOREWARD / "checkpoints" / "ckpt_full"


@pytest.fixture
def small_clips(tmp_path):
    """A folder with the four smallest clips (64x64 and 96x64, 2 to 5 frames), named a.mp4 to d.mp4."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for name, source in zip(
        "abcd", ("s04_10fps_2f_64x64", "s05_10fps_3f_96x64", "s06_10fps_4f_96x64", "s07_10fps_5f_96x64"), strict=True
    ):
        shutil.copy(VIDEOREWARD / "clips" / f"{source}.mp4", folder / f"{name}.mp4")
    return folder


@pytest.fixture
def videoalign(capsys):
    """Call ``videoalign ARGUMENTS``; a SystemExit becomes its status."""

    def call(*arguments):
        capsys.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as stopped:
            status = stopped.code
        return Outcome(status, *capsys.readouterr())

    return call


@pytest.fixture
def score(videoalign, checkpoint):
    """Call ``videoalign score`` with the tiny checkpoint, in float32 on one CPU thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # another number changes the last digits
    yield lambda *arguments: videoalign(
        "score", "--model", checkpoint, "--dtype", "float32", "--device", "cpu", *arguments
    )
    torch.set_num_threads(threads)


@pytest.fixture
def manifest(small_clips):
    """Write a JSONL manifest beside the clips from (clip, prompt) pairs or whole rows; returns its path."""

    def write(*rows, name="rows.jsonl"):
        rows = [row if isinstance(row, dict) else {"path": row[0], "prompt": row[1]} for row in rows]
        path = small_clips / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def interrupt_after(monkeypatch):
    """Make scoring stop, as by Ctrl-C, when it asks for the result after ``count`` clips; None: never."""
    real = scoring_stream.score_stream

    def install(count):
        def interrupted(*arguments, **options):
            for number, answer in enumerate(real(*arguments, **options)):
                if number == count:
                    raise KeyboardInterrupt
                yield answer

        monkeypatch.setattr(scoring_stream, "score_stream", interrupted)

    return install
