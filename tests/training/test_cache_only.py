"""``data.cache_only`` as a user meets it: a training goes on on another machine with the cache alone."""

import shutil

import pytest
import torch
from safetensors.torch import load_file

from videoalign.backbones.micro_files import MICRO_NETWORK, MICRO_VAE
from videoalign.cli.main import main
from videoalign.micro_world import write_dataset

SIZE = ["--data.width", "64", "--data.height", "64", "--data.frames", "17", "--data.fps", "8"]
REST = [
    "--batch-size", "2", "--precision", "float32", "--memory.base-dtype", "float32", "--no-memory.gradient-checkpointing", "--lora.rank", "2",
    "--lora.alpha", "2", "--lora.dtype", "float32", "--data.eval-share", "0.3", "--evaluation.levels", "1", "--no-tensorboard",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.long
def test_a_run_goes_on_where_neither_clips_nor_encoders_are(tmp_path, capsys):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    pairs = write_dataset(here / "data", 4, seed=5)
    vae = shutil.copy(MICRO_VAE, here / "vae.safetensors")
    own = ["--model.transformer", str(MICRO_NETWORK), *SIZE, *REST]
    encoders = ["--model.vae", str(vae), "--model.text-encoder", "micro"]
    assert main(["train", "dpo", "--data.train", str(pairs), *encoders, *own, "--output", str(here / "whole"), "--max-steps", "4", "--data.cache", str(here / "cache")]) == 0  # fmt: skip
    assert main(["train", "dpo", "--data.train", str(pairs), *encoders, *own, "--output", str(here / "run"), "--max-steps", "2", "--data.cache", str(here / "cache")]) == 0  # fmt: skip
    (there / "data").mkdir(parents=True)
    shutil.move(here / "run", there / "run")
    shutil.move(here / "cache", there / "cache")
    shutil.copy(pairs, there / "data" / pairs.name)
    expected = load_file(here / "whole" / "lora.safetensors")
    shutil.rmtree(here)
    only = ["--data.train", str(there / "data" / pairs.name), "--data.cache-only", "--data.cache", str(there / "cache")]
    capsys.readouterr()
    assert main(["train", "dpo", *only, *own, "--output", str(there / "run"), "--max-steps", "4"]) == 0
    assert "Going on from step 2 of 4" in capsys.readouterr().err
    found = load_file(there / "run" / "lora.safetensors")
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    # Nothing is encoded: the plan leaves that out too.
    assert main(["plan", "dpo", *only, *own, "--output", str(there / "plan")]) == 0
    assert "encoded" not in capsys.readouterr().out


def test_previews_need_the_vae(tmp_path, capsys):
    words = [
        "--data.train",
        "pairs.jsonl",
        "--data.cache-only",
        "--model.transformer",
        "m",
        "--preview.prompts",
        "a fox",
    ]
    assert main(["train", "dpo", *words]) == 2
    assert "preview.prompts need the VAE" in capsys.readouterr().err
