"""``videoalign plan`` and ``--dry-run`` on the embedded micro model."""

import json
import re

import pytest

from videoalign.backbones.micro_files import MICRO_NETWORK, MICRO_VAE
from videoalign.cli.main import main


@pytest.fixture
def words(tmp_path):
    clips = [tmp_path / f"{number}.mp4" for number in range(8)]
    for clip in clips:
        clip.touch()
    rows = [
        {"prompt": f"p {number}", "chosen": str(clips[2 * number]), "rejected": str(clips[2 * number + 1])}
        for number in range(4)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = ["--model.transformer", MICRO_NETWORK, "--model.vae", MICRO_VAE, "--model.text-encoder", "micro"]
    size = [
        "--data.width",
        64,
        "--data.height",
        64,
        "--data.frames",
        5,
        "--data.fps",
        8,
        "--memory.base-dtype",
        "float32",
    ]
    own = ["--data.train", tmp_path / "pairs.jsonl", "--output", tmp_path / "out", "--precision", "float32"]
    return [str(word) for word in [*own, *files, *size]]


@pytest.mark.long
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["plan", "dpo"], id="plan"),
        pytest.param(["train", "dpo", "--dry-run"], id="dry run", marks=pytest.mark.slow),
    ],
)
def test_a_plan_says_what_is_counted_and_writes_nothing(tmp_path, words, capsys, command):
    assert main([*command, *words]) == 0
    told = capsys.readouterr().out
    assert "3 pairs of 3" in told and "1 pair held out" in told and "16 x 2 x 8 x 8 latents, 32 tokens" in told
    for part in ("frozen weights", "adapter, gradients", "optimizer", "activations"):
        assert any(line.startswith(f"  {part}") and "counted" in line for line in told.splitlines()), part
    assert "RTX 3060 12 GB" in told and "estimate" in told
    assert not (tmp_path / "out").exists()


def test_a_run_that_moves_nothing_is_told_with_the_remedy(words, capsys):
    assert main(["plan", "sft", *words, "--max-steps", "1", "--optimizer.learning-rate", "5e-6"]) == 0
    assert "WARNING: 1 step at a learning rate of 5e-06" in capsys.readouterr().out


@pytest.mark.long
def test_no_more_rows_are_at_once_in_memory_than_a_batch_has(words, capsys):
    assert main(["plan", "dpo", *words, "--max-steps", "300", "--micro-batch-size", "24"]) == 0
    told = capsys.readouterr().out
    rows = re.search(r"^300 steps of (\d+) rows", told, flags=re.MULTILINE)[1]
    assert int(rows) < 24 and re.search(rf"^Memory on the device, {rows} rows? at a time", told, flags=re.MULTILINE)
