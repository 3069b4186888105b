"""It learns: Flow-DPO on the shipped micro model, pairs labelled by the world's own truth."""

import pytest

from videoalign.backbones.micro_files import MICRO_NETWORK, MICRO_VAE
from videoalign.micro_world import write_dataset
from videoalign.training.loop.log_file import read_log
from videoalign.training.train_flow_command import train_command

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MICRO_NETWORK.exists(), reason="the micro model is not in backbones/embedded"),
]

TRAIN_DPO = train_command("dpo")
GOOD = 3e-4


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    return write_dataset(folder, 240, seed=77)


def config(pairs, output, rate, steps):
    return TRAIN_DPO.Config.model_validate(
        {
            "output": output, "max_steps": steps, "batch_size": 16, "micro_batch_size": 8, "precision": "float32", "eval_every": 20,
            "log_every": 5, "tensorboard": False,
            "data": {"train": [pairs], "eval_share": 0.2, "width": 64, "height": 64, "frames": 17, "fps": 8.0, "cache": pairs.parent / "cache"},
            "model": {"transformer": MICRO_NETWORK, "vae": MICRO_VAE, "text_encoder": "micro"},
            "lora": {"rank": 16, "alpha": 16},
            "optimizer": {"learning_rate": rate},
            "memory": {"base_dtype": "float32", "gradient_checkpointing": False},
        }
    )  # fmt: skip


def test_held_out_accuracy_rises_above_0_7_and_a_learning_rate_100_times_too_high_is_called_out(
    pairs, tmp_path, capsys
):
    assert TRAIN_DPO.run(config(pairs, tmp_path / "good", GOOD, steps=120)) == 0
    said = capsys.readouterr().err
    evaluations = [line for line in read_log(tmp_path / "good" / "log.jsonl") if line["kind"] == "eval"]
    assert evaluations[-1]["accuracy"] > 0.7
    assert "learning: held-out accuracy" in said
    assert TRAIN_DPO.run(config(pairs, tmp_path / "bad", 100 * GOOD, steps=40)) == 0
    said = capsys.readouterr().err.splitlines()[-1]
    assert "learning rate" in said, said
