"""A tiny flow training on latents: clips are safetensors files with latents, read by a cache that has nothing to encode."""

import json

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tiny_wan import CONFIG, SHAPE, tiny_wan

from videoalign.backbones.latent_format import WAN21
from videoalign.reward.errors import ClipError
from videoalign.training.flow.adapter import add_adapter
from videoalign.training.flow.config import FlowConfig
from videoalign.training.flow.frozen_weights import store_frozen
from videoalign.training.flow.run import optimizer_of
from videoalign.training.flow.task import FlowRows, FlowTask
from videoalign.training.loop.train_loop import TrainLoop
from videoalign.training.train_dpo_command import Config as DpoConfig


class LatentFiles:
    """What ``LatentCache`` gives, of clips that are latents already."""

    latent_format = WAN21.name

    def latents(self, path):
        try:
            return load_file(path)["latents"]
        except (OSError, SafetensorError) as error:
            raise ClipError(f"{path} cannot be read ({error}).") from None

    def conditioning(self, prompt):
        generator = torch.Generator().manual_seed(len(prompt) + sum(map(ord, prompt)))
        return {"text": torch.randn(3, CONFIG["text_dim"], generator=generator)}


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

    def build(output="run", config_class=DpoConfig, **changes) -> FlowConfig:
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
        return config_class.model_validate(values)

    return build


@pytest.fixture
def task_of():
    """The task of a configuration, on a tiny Wan."""

    def build(config, method=None):
        from videoalign.training.flow.methods.dpo import FlowDpo

        method = method or FlowDpo(config.dpo)
        backbone = tiny_wan(False)
        if config.memory.base_dtype in ("float8", "nf4"):
            store_frozen(backbone, config.memory.base_dtype, config.memory.offload_blocks)
        add_adapter(backbone, config.lora, seed=0)
        if config.memory.gradient_checkpointing:
            backbone.module.enable_gradient_checkpointing()
        return FlowTask(config, method, FlowRows(config, method), backbone, LatentFiles())

    return build


@pytest.fixture
def train(task_of):
    """Run the loop of a configuration; ``steps``: stop as Ctrl-C does, after so many."""

    def run(config, method=None, steps=None, callbacks=()):
        task = task_of(config, method)
        optimizer = optimizer_of(config.optimizer)
        loop = TrainLoop(task, config, len(task.train), task.fingerprint(), callbacks=callbacks, optimizer=optimizer)
        if steps is None:
            loop.run()
            return task
        optimize = loop._optimize

        def stop_at(rows, micro_batches):
            loop._stop = loop.step + 1 >= steps
            return optimize(rows, micro_batches)

        loop._optimize = stop_at
        with pytest.raises(KeyboardInterrupt):
            loop.run()
        return task

    return run
