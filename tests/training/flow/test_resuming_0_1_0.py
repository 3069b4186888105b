"""Runs that version 0.1.0 began go on: their fingerprints are what they were, and their states are read.

``tests/data/training_0.1.0/training_state.pt`` was written by 0.1.0 after three steps of the Flow-DPO run below; the literal
fingerprints are what it computed for the three runs.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_training import tiny_loop, tiny_task
from tiny_wan import SHAPE

from videoalign.training.flow.methods import load_method
from videoalign.training.loop.state_files import newest_state
from videoalign.training.train_flow_command import train_command

STATE = Path(__file__).parents[2] / "data" / "training_0.1.0" / "training_state.pt"
SHARED = {
    "max_grad_norm": 1.0,
    "model": {"transformer": "tiny", "vae": "none", "text_encoder": "none"},
    "noise": {
        "timesteps": "uniform", "logit_mean": 0.0, "logit_std": 1.0, "shift": 1.0, "sigma_min": 0.0, "sigma_max": 1.0,
    },
    "optimizer": {"learning_rate": 0.001, "weight_decay": 0.0, "beta1": 0.9, "beta2": 0.999, "kind": "adamw"},
    "precision": "float32", "schedule": "constant", "warmup": 0.0, "base_dtype": "float32",
    "lora": {"rank": 1, "alpha": 2.0, "dropout": 0.0, "targets": "attention", "start": None},
    "size": {"width": 832, "height": 480, "frames": 81, "fps": 16.0, "buckets": []},
    "seed": 42, "batch_size": 2, "steps": 6,
}  # fmt: skip
METHODS = {
    "dpo": ({"beta": 100.0}, "292736b5ae5d3246", {
        "beta": 100.0, "beta_schedule": "constant", "reduction": "mean", "sft_weight": 0.0, "label_smoothing": 0.0,
        "safeguard": False, "safeguard_mu": 0.9, "backward": "split",
    }),
    "rwr": ({"temperature": 0.5}, "2639653b169f7b9b", {
        "weighting": "exponential", "temperature": 0.5, "discrete_weights": [0.05, 0.2, 0.9],
        "discrete_levels": [0.5, 1.5], "real_weight": 1.0,
    }),
    "sft": ({}, "8306d16fccbed9b5", {}),
}  # fmt: skip


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Four pairs, in a folder that is the current one: their paths are part of the fingerprint."""
    monkeypatch.chdir(tmp_path)
    Path("clips").mkdir()
    lines = []
    for number in range(4):
        generator = torch.Generator().manual_seed(number)
        row = {"prompt": f"prompt {number // 2}"}
        row |= {"scores_chosen": {"Overall": 2.0}, "scores_rejected": {"Overall": -2.0}}
        for side, mean in (("chosen", 1.0), ("rejected", -1.0)):
            row[side] = f"clips/{number}_{side}.safetensors"
            save_file({"latents": torch.randn(SHAPE, generator=generator) * 0.3 + mean}, row[side])
        lines.append(json.dumps(row) + "\n")
    Path("pairs.jsonl").write_text("".join(lines), encoding="utf-8")


def task_of(name, output="run", **changes):
    values = {
        "output": output, "max_steps": 6, "batch_size": 2, "micro_batch_size": 2, "eval_every": 3, "save_every": 2,
        "log_every": 1, "precision": "float32", "tensorboard": False,
        "data": {"train": ["pairs.jsonl"], "eval_share": 0.0},
        "model": {"transformer": "tiny", "vae": "none", "text_encoder": "none"},
        "lora": {"rank": 1, "alpha": 2}, "optimizer": {"learning_rate": 1e-3},
        "memory": {"base_dtype": "float32", "gradient_checkpointing": False}, "evaluation": {"levels": 2},
        name: METHODS[name][0], **changes,
    }  # fmt: skip
    config = train_command(name).Config.model_validate(values)
    return tiny_task(config, load_method(name)(getattr(config, name)))


@pytest.mark.parametrize("name", METHODS)
def test_the_fingerprint_of_a_run_is_what_0_1_0_computed(name, world):
    _, data, options = METHODS[name]
    assert tiny_loop(task_of(name)).fingerprint == {**SHARED, "data": data, name: options}


def test_a_state_of_0_1_0_goes_on_to_the_same_lora(world, capsys):
    whole, resumed = task_of("dpo", "whole"), task_of("dpo")
    tiny_loop(whole).run()
    folder = Path("run/checkpoints/state-00000003")
    folder.mkdir(parents=True)
    shutil.copy(STATE, folder)
    capsys.readouterr()
    tiny_loop(resumed).run()
    assert "Going on from step 3 of 6." in capsys.readouterr().err
    states = [newest_state(Path(output) / "checkpoints") for output in ("whole", "run")]
    for name, expected in states[0]["weights"].items():
        # 0.1.0 computed the first half, perhaps on another processor; Adam's first steps amplify its rounding.
        assert (states[1]["weights"][name] - expected).abs().max() < 1e-5, name
    first = torch.load(STATE, weights_only=True)["weights"]
    assert any((first[name] - value).abs().max() > 1e-4 for name, value in states[1]["weights"].items())
