"""A tiny reward training: six pairs of micro clips and the micro base model."""

from pathlib import Path

import pytest

from videoalign.micro.video_reward.base_model import write_base_model
from videoalign.micro_world import write_dataset
from videoalign.training.video_reward.config import Config


@pytest.fixture(scope="session")
def micro(tmp_path_factory) -> Path:
    """A folder with base/ (random Qwen2-VL) and data/ (six pairs with videos)."""
    folder = tmp_path_factory.mktemp("micro")
    write_base_model(folder / "base", "micro", seed=0)
    write_dataset(folder / "data", 6, seed=5)
    return folder


@pytest.fixture
def options(micro, tmp_path):
    """Builds the configuration of a run of six steps; keyword arguments replace whole sections' values."""

    def build(output="run", **changes) -> Config:
        values = {
            "output": tmp_path / output,
            "max_steps": 6,
            "batch_size": 4,
            "micro_batch_size": 2,
            "eval_every": 3,
            "save_every": 2,
            "data": {
                "train": [micro / "data" / "pairs.csv"],
                "eval": [micro / "data" / "pairs.jsonl"],
                "fps": 8.0,
                "min_frame_pixels": 3136,
                "max_frame_pixels": 3136,
                "template": "micro",
            },
            "model": {"base": micro / "base", "lora_rank": 4, "lora_alpha": 8, "torch_dtype": "float32"},
            "optimizer": {"learning_rate": 1e-3, "vision_lr": 1e-3, "merger_lr": 1e-3, "special_token_lr": 1e-3},
        }
        for key, value in changes.items():
            values[key] = {**values[key], **value} if isinstance(value, dict) and key in values else value
        return Config.model_validate(values)

    return build
