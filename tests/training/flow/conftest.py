"""A tiny flow training on latents: clips are safetensors files with latents, read by a cache that has nothing to encode."""

import json

import pytest
import torch
from safetensors.torch import save_file
from tiny_training import tiny_loop, tiny_task
from tiny_wan import SHAPE, tiny_wan

from videoalign.lora.writing import save_lora
from videoalign.training.flow.config import FlowConfig, LoraOptions
from videoalign.training.train_flow_command import train_command


@pytest.fixture
def pairs(tmp_path):
    """Write a preference file of ``count`` pairs of latents; the chosen ones' mean is ``gap``, the rejected ones' -gap."""

    def write(count=8, name="pairs.jsonl", shapes=(SHAPE, SHAPE), gap=1.0, **fields):
        folder = tmp_path / "clips"
        folder.mkdir(exist_ok=True)
        lines = []
        for number in range(count):
            generator = torch.Generator().manual_seed(number)
            row = {"prompt": f"prompt {number // 2}", **fields}
            for side, shape, mean in zip(("chosen", "rejected"), shapes, (gap, -gap), strict=True):
                file = folder / f"{number}_{side}.safetensors"
                save_file({"latents": torch.randn(shape, generator=generator) * max(0.3, 1 - gap) + mean}, file)
                row[side] = f"clips/{file.name}"
            lines.append(json.dumps(row) + "\n")
        path = tmp_path / name
        path.write_text("".join(lines), encoding="utf-8")
        return path

    return write


@pytest.fixture
def options(tmp_path, pairs):
    """Builds the configuration of a Flow-DPO run of six steps; keyword arguments replace whole sections' values."""

    def build(output="run", method="dpo", **changes) -> FlowConfig:
        values = {
            "output": tmp_path / output, "max_steps": 6, "batch_size": 4, "micro_batch_size": 2, "eval_every": 3, "save_every": 2,
            "log_every": 1, "precision": "float32", "tensorboard": False,
            "data": {"eval_share": 0.25},
            "model": {"transformer": "tiny", "vae": "none", "text_encoder": "none"},
            "lora": {"rank": 4, "alpha": 8},
            "optimizer": {"learning_rate": 1e-3},
            "memory": {"base_dtype": "float32", "gradient_checkpointing": False},
            "evaluation": {"levels": 2},
        }  # fmt: skip
        for key, value in changes.items():
            values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
        values["data"].setdefault("train", [tmp_path / "pairs.jsonl"])
        if not (tmp_path / "pairs.jsonl").exists():
            pairs()
        return train_command(method).Config.model_validate(values)

    return build


@pytest.fixture
def task_of():
    """The task of a configuration, on a tiny Wan."""
    return tiny_task


@pytest.fixture
def train():
    """Run the loop of a configuration; ``steps``: stop as Ctrl-C does, after so many."""

    def run(config, method=None, steps=None, callbacks=()):
        task = tiny_task(config, method)
        loop = tiny_loop(task, callbacks, steps)
        if steps is None:
            loop.run()
            return task
        with pytest.raises(KeyboardInterrupt):
            loop.run()
        return task

    return run


@pytest.fixture
def style(tmp_path):
    """A LoRA that changes a good deal, of rank 2 and alpha 3, on the attention alone."""
    backbone = tiny_wan(LoraOptions(rank=2, alpha=3), seed=5)
    with torch.no_grad():
        for name, parameter in backbone.module.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.5)
    return save_lora(tmp_path / "style.safetensors", tiny_wan(False), backbone.module, dtype=torch.float32)
