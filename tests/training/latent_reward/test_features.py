"""Features of a frozen trunk: what is stored is what would be computed, and heads that learn from it are the same heads."""

import pytest
import torch

from videoalign.errors import VideoAlignError
from videoalign.training.latent_reward import features as features_module
from videoalign.training.latent_reward.config import Config, NoiseConfig
from videoalign.training.latent_reward.task import LatentRewardTask
from videoalign.training.loop.state_files import newest_state
from videoalign.training.loop.train_loop import TrainLoop

VALUES = {
    "max_steps": 5,
    "batch_size": 6,
    "micro_batch_size": 4,
    "eval_every": 2,
    "save_every": 5,
    "data": {"train": ["unused.jsonl"]},
    "noise": {"draws": 3},
    "model": {"trunk": "t", "vae": "v", "text_encoder": "micro", "head": "query", "head_width": 8, "freeze_trunk": True, "save_dtype": "float32"},
    "optimizer": {"learning_rate": 3e-3},
    "evaluation": {"bins": 2, "gradient_pairs": 3, "pairs": 4},
}  # fmt: skip


@pytest.fixture
def start(bright_pairs, tiny_wan, tmp_path):
    """A task on pairs whose cache lies in a folder, and its loop."""

    def build(output, **changes):
        values = VALUES | {"output": tmp_path / output} | changes
        config = Config.model_validate(values)
        data = bright_pairs(7, 1), bright_pairs(6, 2)
        for part in data:
            part.cache.folder = tmp_path / "cache"
        task = LatentRewardTask(config, *data, tiny_wan(), {"vae": "vae-1", "text_encoder": "micro-text-1"})
        return task, TrainLoop(task, config, len(task.train), task.fingerprint())

    return build


@pytest.mark.parametrize("changes", [{}, {"noise": {"draws": 2, "shared": False}}], ids=["shared noise", "own noise"])
@pytest.mark.parametrize("grouped", [False, True])
def test_heads_trained_on_stored_features_equal_those_trained_without_bit_for_bit(start, tmp_path, changes, grouped):
    changes = {**changes, "data": {**VALUES["data"], "group_by_prompt": grouped}}
    plain, plain_loop = start("plain", **changes)
    expected = plain_loop.run()
    stored, loop = start("stored", **changes)
    stored.compute_features()
    entries = list((tmp_path / "cache" / "features").iterdir())
    calls = count_calls(stored.reward.trunk)
    metrics = loop.run()
    assert not calls  # the trunk was not run again
    assert metrics == expected
    ours, theirs = (newest_state(tmp_path / name / "checkpoints")["weights"] for name in ("stored", "plain"))
    assert ours and all(torch.equal(ours[name], value) for name, value in theirs.items())
    for task in (plain, stored):
        task.calibrate()
    assert stored.reward.calibration == plain.reward.calibration
    held = 2 * 2 * 4 * 2  # bins, ways to look, pairs, clips
    assert len(entries) == changes.get("noise", VALUES["noise"])["draws"] * 14 + held


def count_calls(trunk):
    calls = []
    trunk.module.register_forward_pre_hook(lambda *_: calls.append(1))
    return calls


def test_a_second_training_computes_nothing_again_and_another_trunk_everything(start, tmp_path):
    task, _ = start("first")
    task.compute_features()
    again, _ = start("second", model={**VALUES["model"], "head": "motion"})
    calls = count_calls(again.reward.trunk)
    again.compute_features()
    assert not calls
    (tmp_path / "t").write_bytes(b"other weights")
    other, _ = start("third", model={**VALUES["model"], "trunk": str(tmp_path / "t")})
    calls = count_calls(other.reward.trunk)
    other.compute_features()
    assert len(calls) == len(list((tmp_path / "cache" / "features").iterdir())) / 2


def test_what_was_stopped_half_way_is_gone_on_with(start, tmp_path, monkeypatch):
    task, _ = start("first")
    wanted = task.train.draws(task.config.seed, task.config.noise)
    write, written = features_module.write_features, []

    def stopping(*arguments):
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(write(*arguments))

    monkeypatch.setattr(features_module, "write_features", stopping)
    with pytest.raises(KeyboardInterrupt):
        task.compute_features()
    monkeypatch.setattr(features_module, "write_features", write)
    again, _ = start("first")
    calls = count_calls(again.reward.trunk)
    again.compute_features()
    held = again.judge.seen(4)
    assert len(calls) == len(wanted) - 5 + len(held)
    assert again.train.features.read(wanted[:3]).shape == (3, 2, 2, 2, 24)


def test_a_damaged_entry_is_refused_and_made_anew(start, tmp_path):
    task, _ = start("run")
    task.compute_features()
    seen = task.train.draws(task.config.seed, task.config.noise)[:1]
    before = task.train.features.read(seen)
    (file,) = (tmp_path / "cache" / "features").glob(task.train.features.key(seen[0]) + "*")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(VideoAlignError, match="Run the same command again"):
        task.train.features.read(seen)
    again, _ = start("run")
    again.compute_features()
    assert torch.equal(again.train.features.read(seen), before)


def test_draws_are_spread_over_the_levels_and_every_pass_takes_the_next_of_a_prompt(bright_pairs):
    data, config = bright_pairs(6), NoiseConfig(draws=4)
    seen = data.draws(3, config)
    assert len(seen) == 4 * 12
    levels = {}
    for one in seen:
        levels.setdefault(one.prompt, set()).add(one.noise.sigma)
    for of_prompt in levels.values():
        assert sorted(int(4 * sigma) for sigma in of_prompt) == [0, 1, 2, 3]
    passes = [data.training_batch([0], 6 * number, 3, config)[0] for number in range(5)]
    assert sorted(int(4 * batch.sigma[0]) for batch in passes[:4]) == [0, 1, 2, 3]
    assert torch.equal(passes[4].noise, passes[0].noise) and torch.equal(passes[4].sigma, passes[0].sigma)


def test_the_frozen_trunk_keeps_its_weights_and_has_no_lora(start):
    task, loop = start("run")
    before = {name: value.clone() for name, value in task.reward.network.state_dict().items()}
    loop.run()
    assert all(torch.equal(before[name], value) for name, value in task.reward.network.state_dict().items())
    with pytest.raises(ValueError, match="frozen trunk has no LoRA"):
        Config.model_validate(VALUES | {"output": "o", "model": {**VALUES["model"], "lora": True}})
