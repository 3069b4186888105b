"""One whole official training step (collator, loss, backward, AdamW), recorded with the official code."""

import csv
import json
from pathlib import Path

import pytest
import torch

from videoalign.preferences.preference_file import PreferencePair, ResolvedPair
from videoalign.training.video_reward.config import Config
from videoalign.training.video_reward.official_layout import full_state, official_name
from videoalign.training.video_reward.pair_batches import PairData
from videoalign.training.video_reward.pair_reward import PairReward
from videoalign.training.video_reward.trainable import build_trainable, parameter_groups, reward_settings

DATA = Path(__file__).parents[2] / "data" / "videoreward"
CLIPS = Path(__file__).parents[3].parent / "shared" / "fixtures" / "generated_clips"
EMBEDDING = "language_model.embed_tokens.rows"


@pytest.fixture(scope="module")
def recorded():
    return json.loads((DATA / "results" / "train_step.json").read_text())


@pytest.fixture(scope="module")
def step(recorded):
    """Our step on the same three pairs from the same checkpoint."""
    if not CLIPS.is_dir():
        pytest.skip("the official clips (shared/fixtures/generated_clips) are not beside the project")
    config = Config.model_validate(
        {
            "data": {"train": ["unused.csv"], "max_frame_pixels": 50176},
            "model": {
                "base": DATA / "checkpoints" / "base",
                "checkpoint": DATA / "checkpoints" / "ckpt_full",
                "lora_rank": 4,
                "lora_alpha": 8,
                "lora_dropout": 0.0,
                "torch_dtype": "float32",
            },
            "optimizer": {
                "learning_rate": 1e-3,
                "vision_lr": 2e-4,
                "merger_lr": 3e-4,
                "special_token_lr": 5e-4,
                "weight_decay": 0.01,
            },
        }
    )
    reward, _ = build_trainable(config)
    rows = list(csv.DictReader((CLIPS / "example.csv").open(encoding="utf-8")))[:3]
    pairs = []
    for number, row in enumerate(rows, 1):
        labels = {name: row[name] for name in ("VQ", "MQ", "TA")}
        pair = PreferencePair(prompt=row["prompt"], chosen="a.mp4", rejected="b.mp4", labels=labels)
        paths = [CLIPS / Path(row[f"path_{side}"]).name for side in "AB"]
        pairs.append(ResolvedPair(pair, *paths, f"row {number}"))
    batch = PairData(pairs, reward_settings(config).sampling, keep=False).batch([0, 1, 2])
    module = PairReward(reward, config.loss).train()
    optimizer = torch.optim.AdamW(parameter_groups(reward.network, config.optimizer))
    before = {name: p.detach().clone() for name, p in reward.network.named_parameters()}
    with torch.no_grad():
        rewards = module.rewards(batch)
    loss, _ = module(batch)
    loss.backward()
    gradients = {n: p.grad.clone() for n, p in reward.network.named_parameters() if p.requires_grad}
    optimizer.step()
    after = {name: p.detach() for name, p in reward.network.named_parameters()}
    with torch.no_grad():
        loss_after, _ = module(batch)
    return {
        "rewards": rewards, "loss": loss.item(), "loss_after": loss_after.item(), "gradients": gradients,
        "before": before, "after": after, "batch": batch, "reward": reward,
    }  # fmt: skip


def test_labels_and_rewards_of_the_batch_are_the_recorded_ones(step, recorded):
    assert step["batch"].labels.tolist() == recorded["chosen_label"]
    for ours, official in zip(step["rewards"], (recorded["rewards_A"], recorded["rewards_B"]), strict=True):
        assert torch.allclose(ours, torch.tensor(official), atol=5e-4)


def test_loss_before_and_after_the_step_is_the_recorded_one(step, recorded):
    assert step["loss"] == pytest.approx(recorded["loss"], abs=5e-5)
    assert step["loss_after"] == pytest.approx(recorded["loss_after_step"], abs=5e-5)


def test_the_same_parameters_are_trained_and_their_gradients_have_the_recorded_norms(step, recorded):
    official = dict(recorded["grad_norms"])
    # Officially the whole embedding has a gradient that is thrown away but for three rows; here only those exist.
    official.pop("base_model.model.model.embed_tokens.weight")
    ours = {official_name(name, True): g.norm().item() for name, g in step["gradients"].items() if name != EMBEDDING}
    assert set(ours) == set(official)
    for name, norm in ours.items():
        assert norm == pytest.approx(official[name], rel=2e-4), name


def test_each_parameter_moves_as_far_as_officially_and_only_the_reward_tokens_embeddings_move(step, recorded):
    official = recorded["step_delta_norms"]
    for name, gradient in step["gradients"].items():
        moved = (step["after"][name] - step["before"][name]).norm().item()
        key = "base_model.model.model.embed_tokens.weight" if name == EMBEDDING else official_name(name, True)
        assert gradient.shape == step["before"][name].shape
        assert moved == pytest.approx(official[key], rel=2e-4), name
    frozen = set(step["before"]) - set(step["gradients"])
    assert all(torch.equal(step["before"][name], step["after"][name]) for name in frozen)
    embedding = full_state(step["reward"], True)["base_model.model.model.embed_tokens.weight"]
    start = torch.load(DATA / "checkpoints/ckpt_full/checkpoint-11352/model.pth", weights_only=True)
    changed = (embedding != start["base_model.model.model.embed_tokens.weight"].float()).any(1).nonzero().flatten()
    assert changed.tolist() == recorded["embed_rows_changed"]


def test_recorded_gradients_of_single_layers_are_met(step):
    file = CLIPS.parent / "videoreward" / "tensors" / "train_step.fp32.safetensors"
    if not file.exists():
        pytest.skip("shared/fixtures/videoreward/tensors is not beside the project")
    from safetensors.torch import load_file

    recorded = load_file(file)
    assert torch.allclose(step["gradients"][EMBEDDING], recorded["grad.embed_special_rows"], atol=1e-4)
    assert torch.allclose(step["gradients"]["rm_head.weight"], recorded["grad.rm_head"], atol=1e-4)
    compared = 0
    for name, gradient in step["gradients"].items():
        key = f"grad.{official_name(name, True)}"
        if key in recorded:
            assert torch.allclose(gradient, recorded[key], atol=1e-4), name
            compared += 1
    assert compared >= 4
