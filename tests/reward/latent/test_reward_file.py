"""The file of a latent reward: what is written comes back, what is wrong is refused by name."""

import json
import os

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from videoalign.errors import CheckpointError
from videoalign.reward.latent.latent_reward import LatentReward
from videoalign.reward.latent.reward_file import load_latent_reward, save_latent_reward


@pytest.fixture
def saved(reward, tmp_path):
    """A model and its file in float32."""
    model, path = reward(), tmp_path / "r.safetensors"
    save_latent_reward(path, model, torch.float32)
    return model, path


def rewrite(path, tensors=None, **metadata):
    with safe_open(path, framework="pt") as file:
        given = {**file.metadata(), **metadata}
    given = {key: value for key, value in given.items() if value is not None}
    save_file(tensors or load_file(path), path, given)


def test_rewards_and_description_survive_the_file_to_the_bit(saved, noisy):
    model, path = saved
    again = load_latent_reward(path)
    assert torch.equal(model.rewards(*noisy()), again.rewards(*noisy()))
    assert (again.calibration, again.record, again.head_config) == (model.calibration, model.record, model.head_config)
    assert again.trunk.latent_format == model.trunk.latent_format
    assert (len(again.trunk.blocks), again.trunk.total_blocks) == (2, 4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_halves_the_file_and_comes_back_bit_for_bit(reward, noisy, tmp_path, dtype):
    model, path = reward(), tmp_path / "r.safetensors"
    save_latent_reward(path, model, dtype)
    first = load_latent_reward(path)
    save_latent_reward(path, first, dtype)
    assert torch.equal(first.rewards(*noisy()), load_latent_reward(path).rewards(*noisy()))
    assert torch.allclose(first.rewards(*noisy()), model.rewards(*noisy()), atol=0.05)
    assert all(tensor.dtype == dtype for tensor in load_file(path).values())


def test_the_file_holds_neither_output_layers_nor_later_blocks(saved):
    names = set(load_file(saved[1]))
    assert any(name.startswith("network.blocks.1.") for name in names)
    assert not any(name.startswith(("network.blocks.2.", "network.proj_out", "network.scale_shift")) for name in names)


def test_weights_are_ordinary_tensors_and_gradients_flow_when_loaded_under_inference_mode(saved, noisy):
    model, path = saved
    with torch.inference_mode():
        again = load_latent_reward(path)
    assert not any(tensor.is_inference() for tensor in (*again.parameters(), *again.buffers()))
    gradients = []
    for own in (model, again):
        x_t, sigma, conditioning = noisy()
        x_t.requires_grad_(True)
        gradients.append(torch.autograd.grad(own.rewards(x_t, sigma, conditioning).sum(), x_t)[0])
    assert torch.equal(*gradients)


def test_a_trunk_in_bfloat16_keeps_its_time_embedding_and_its_heads_in_float32(saved, noisy):
    model, path = saved
    again = load_latent_reward(path, dtype=torch.bfloat16)
    assert again.network.patch_embedding.weight.dtype == torch.bfloat16
    assert again.network.condition_embedder.time_embedder.linear_1.weight.dtype == torch.float32
    assert all(parameter.dtype == torch.float32 for parameter in again.heads.parameters())
    rewards = again.rewards(*noisy())
    assert rewards.dtype == torch.float32 and torch.allclose(rewards, model.rewards(*noisy()), atol=0.1)


def test_an_uncalibrated_reward_is_not_saved(reward, tmp_path):
    model = reward()
    with pytest.raises(CheckpointError, match="calibration"):
        save_latent_reward(tmp_path / "r.safetensors", LatentReward(model.trunk, model.head_config))


def test_missing_truncated_and_foreign_files_are_named(saved, tmp_path):
    _, path = saved
    with pytest.raises(CheckpointError, match=r"gone.safetensors does not exist"):
        load_latent_reward(tmp_path / "gone.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"cut.safetensors cannot be read"):
        load_latent_reward(cut)
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors", {"format": "videoalign.video_reward"})
    with pytest.raises(CheckpointError, match=r"not a latent reward.*videoalign.video_reward"):
        load_latent_reward(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"version": "2"}, "version 2"),
        ({"family": "sora"}, "no backbone 'sora'"),
        ({"trunk_config": "{"}, "damaged"),
        ({"calibration": None}, "damaged.*calibration"),
        ({"dimensions": '["MQ", "VQ", "TA"]'}, "it rates"),
        ({"time_convention": "t = 1 is clean"}, "time convention"),
        ({"blocks": "[3, 4]"}, "3 blocks"),
        ({"latent_format": '{"name": "ltxv"}'}, "latent format"),
    ],
)
def test_a_description_that_cannot_be_right_is_refused(saved, metadata, message):
    _, path = saved
    rewrite(path, **metadata)
    with pytest.raises(CheckpointError, match=message):
        load_latent_reward(path)


def test_missing_unknown_misshapen_and_infinite_tensors_are_named(saved):
    _, path = saved
    whole, name = load_file(path), "heads.MQ.out.3.bias"
    for change, message in (
        ({name: None}, f"{name} is missing"),
        ({"extra": torch.zeros(1)}, "extra is none"),
        ({name: torch.zeros(2)}, rf"{name} is \[2\].*\[1\]"),
        ({name: torch.tensor([float("nan")])}, f"{name} has values that are not finite"),
    ):
        tensors = {key: value for key, value in {**whole, **change}.items() if value is not None}
        rewrite(path, tensors)
        with pytest.raises(CheckpointError, match=message):
            load_latent_reward(path)


def test_the_metadata_says_what_the_model_fits(saved):
    with safe_open(saved[1], framework="pt") as file:
        metadata = file.metadata()
    assert metadata["family"] == "wan" and json.loads(metadata["latent_format"])["channels"] == 16
    assert json.loads(metadata["dimensions"]) == ["VQ", "MQ", "TA"]
    assert json.loads(metadata["calibration"])["gradient_scale"]["MQ"] == [3.0, 4.0]
    assert json.loads(metadata["record"])["data"] == "abc"
    assert "0 clean, 1 noise" in metadata["time_convention"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
def test_another_user_can_read_the_file(saved, tmp_path):
    reward, _ = saved
    before = os.umask(0o022)
    try:
        save_latent_reward(tmp_path / "mine.safetensors", reward)
    finally:
        os.umask(before)
    assert (tmp_path / "mine.safetensors").stat().st_mode & 0o777 == 0o644
