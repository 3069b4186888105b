"""A run knows its data by what the clips hold, not by where they lie."""

import shutil

import pytest
import torch
from safetensors.torch import save_file
from tiny_wan import SHAPE

from videoalign.errors import TrainingStopped
from videoalign.training.loop.state_files import newest_state


def replace_clip(path):
    generator = torch.Generator().manual_seed(99)
    save_file({"latents": torch.randn(SHAPE, generator=generator)}, path)


def test_a_folder_that_was_moved_goes_on_bit_for_bit(options, train, tmp_path):
    whole, parts = options("whole"), options("parts")
    train(whole)
    train(parts, steps=3)
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.move(tmp_path / "clips", moved / "clips")
    shutil.move(tmp_path / "pairs.jsonl", moved / "pairs.jsonl")
    elsewhere = parts.model_copy(update={"data": parts.data.model_copy(update={"train": [moved / "pairs.jsonl"]})})
    train(elsewhere)
    ours, expected = (newest_state(config.output / "checkpoints")["weights"] for config in (parts, whole))
    assert all(torch.equal(ours[name], value) for name, value in expected.items())


def test_other_clips_under_the_same_names_are_refused(options, train, task_of, tmp_path):
    config = options(data={"eval_share": 0.0})
    before = task_of(config)
    data, content = before.data_hash(), before.content_hash()
    train(config, steps=3)
    replace_clip(tmp_path / "clips" / "2_chosen.safetensors")
    with pytest.raises(TrainingStopped, match=r"another data \(there are other clips under the same names\)"):
        train(config)
    after = task_of(config)
    assert after.data_hash() == data and after.content_hash() != content


def test_other_weights_to_go_on_from_are_refused(options, train, tmp_path):
    model = tmp_path / "model.safetensors"
    model.write_bytes(b"one")
    config = options(model={"transformer": model})
    train(config, steps=3)
    same = shutil.copy(model, tmp_path / "same.safetensors")
    train(config.model_copy(update={"model": config.model.model_copy(update={"transformer": same})}), steps=4)
    model.write_bytes(b"other")
    with pytest.raises(TrainingStopped, match="another model"):
        train(config)
