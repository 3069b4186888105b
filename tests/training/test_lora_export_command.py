"""``videoalign lora export``: checkpoints of a training, of this version and of 0.1.0, become LoRAs."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

OLD = Path(__file__).parents[1] / "data" / "version_0_1_0"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What 0.1.0 left: a training with its network, whose newest checkpoint is that of its end or of a step before."""
    shutil.copytree(OLD, tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    return tmp_path / "old"


def states(folder):
    return sorted((folder / "dpo" / "checkpoints").glob("state-*"))


@pytest.mark.parametrize("which", ["output", "checkpoints", "state", "file"])
def test_a_checkpoint_is_named_by_its_file_or_by_a_folder_and_gives_its_own_weights(which, folder, videoalign):
    newest = states(folder)[-1]
    named = {
        "output": folder / "dpo", "checkpoints": folder / "dpo" / "checkpoints", "state": newest,
        "file": newest / "training_state.pt",
    }[which]  # fmt: skip
    outcome = videoalign("lora", "export", named, "--output", "out.safetensors", "--dtype", "float32")
    assert outcome.status == 0, outcome.err
    state = torch.load(newest / "training_state.pt", weights_only=True)
    assert f"step {state['step']} of" in outcome.out
    written, finished = load_file("out.safetensors"), load_file("dpo/lora.safetensors")
    assert written.keys() == finished.keys()  # the names that ComfyUI's loader applies
    for name, tensor in state["weights"].items():
        if name.endswith("blocks.0.attn1.to_q.lora_B.default.weight"):
            assert torch.equal(written["diffusion_model.blocks.0.self_attn.q.lora_B.weight"], tensor)
    alphas = [key for key in written if key.endswith(".alpha")]
    assert all(torch.equal(written[key], finished[key]) for key in alphas) and len(alphas) == 16


def test_what_is_no_checkpoint_of_a_lora_training_is_said_to_be_none(folder, videoalign):
    out = ["--output", "out.safetensors"]
    assert "is no checkpoint" in videoalign("lora", "export", "nowhere", *out).err
    outcome = videoalign("lora", "export", "latent_reward", *out)
    assert outcome.status == 1 and "another training than of a LoRA" in outcome.err
    state = states(folder)[-1] / "training_state.pt"
    state.write_bytes(b"damaged")
    assert "is damaged" in videoalign("lora", "export", state, *out).err
    assert not Path("out.safetensors").exists()


def test_a_model_that_has_moved_is_named(folder, videoalign):
    shutil.move("network", "elsewhere")
    out = ["--output", "out.safetensors"]
    outcome = videoalign("lora", "export", "dpo", *out)
    assert outcome.status == 1 and "network, is not there. Name it with --model" in outcome.err
    assert videoalign("lora", "export", "dpo", *out, "--model", "elsewhere").status == 0
