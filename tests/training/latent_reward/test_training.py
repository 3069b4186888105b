"""Latent reward training as a whole, on random latents in which brightness decides."""

import pytest
import torch

from videoalign.errors import GuidanceError, TrainingStopped
from videoalign.guidance.flow_nrg import FlowNRG
from videoalign.guidance.settings import GuidanceSettings
from videoalign.reward.latent.reward_file import load_latent_reward
from videoalign.training.latent_reward.calibrating import HeldOut
from videoalign.training.latent_reward.config import Config
from videoalign.training.latent_reward.task import LatentRewardTask, accuracy_table
from videoalign.training.loop.state_files import newest_state
from videoalign.training.loop.train_loop import TrainLoop


@pytest.fixture
def options(tmp_path):
    def build(output="run", **changes):
        values = {
            "output": tmp_path / output,
            "max_steps": 4,
            "batch_size": 6,
            "micro_batch_size": 3,
            "eval_every": 100,
            "save_every": 2,
            "data": {"train": ["unused.jsonl"]},
            "model": {"trunk": "t", "vae": "v", "text_encoder": "micro", "head": "mean", "head_width": 8, "lora_rank": 2, "save_dtype": "float32"},
            "optimizer": {"learning_rate": 3e-3},
            "evaluation": {"bins": 2, "gradient_pairs": 3},
        }  # fmt: skip
        for key, value in changes.items():
            values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
        return Config.model_validate(values)

    return build


@pytest.fixture
def start(bright_pairs, tiny_wan):
    """A task and its loop."""

    def build(config, pairs=24, held_out=12):
        encoders = {"vae": "vae-1", "text_encoder": "micro-text-1"}
        task = LatentRewardTask(config, bright_pairs(pairs, 1), bright_pairs(held_out, 2), tiny_wan(), encoders)
        return task, TrainLoop(task, config, len(task.train), task.fingerprint())

    return build


def final_weights(config):
    return newest_state(config.output / "checkpoints")["weights"]


def test_an_obvious_difference_is_learnt_on_held_out_pairs_at_nearly_all_noise_levels(options, start):
    config = options(max_steps=60, batch_size=32, micro_batch_size=32, save_every=1000, evaluation={"bins": 4})
    task, loop = start(config, pairs=300, held_out=80)
    metrics = loop.run()
    assert metrics["acc_VQ"] > 0.9 and metrics["acc_MQ"] > 0.9
    assert "acc_TA" not in metrics  # all ties
    task.calibrate()
    again = load_latent_reward(task.export(loop.step))
    assert again.calibration == task.reward.calibration and again.record.steps == 60
    assert again.calibration.overall_accuracy("VQ") == pytest.approx(metrics["acc_VQ"])
    dark, bright = (torch.full((1, 16, 2, 4, 4), level) for level in (-1.0, 1.0))
    given = torch.tensor([0.3]), {"text": torch.zeros(1, 4, 20)}
    lead = (again.rewards(bright, *given) - again.rewards(dark, *given))[0]
    assert lead[0] > 1 and lead[1] < -1
    assert "VQ" in accuracy_table(again)


@pytest.mark.parametrize("lora", [False, True])
def test_a_run_stopped_after_a_step_and_resumed_equals_the_uninterrupted_one_bit_for_bit(options, start, lora):
    whole, parts = (options(name, model={"lora": lora}) for name in ("whole", "parts"))
    start(whole)[1].run()
    _, loop = start(parts)
    optimize = loop._optimize

    def stop_after_two(rows, micro_batches):
        loop._stop = loop.step == 1
        return optimize(rows, micro_batches)

    loop._optimize = stop_after_two
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    start(parts)[1].run()
    ours, expected = final_weights(parts), final_weights(whole)
    assert ours and all(torch.equal(ours[name], value) for name, value in expected.items())


def test_a_lora_is_merged_when_saved_and_leaves_the_base_as_it_was(options, start):
    config = options(model={"lora": True})
    task, loop = start(config)
    base = {name: p.detach().clone() for name, p in task.reward.named_parameters() if not p.requires_grad}
    loop.run()
    now = dict(task.reward.named_parameters())
    assert all(torch.equal(now[name], value) for name, value in base.items())
    task.calibrate()
    merged = load_latent_reward(task.export(loop.step))
    batch = task.held_out.bin_batch(range(4), 0.2, 0.4, 0)[0]
    given = batch.latents, batch.sigma, batch.conditioning
    with torch.no_grad():
        assert torch.allclose(merged.rewards(*given), task.reward.rewards(*given), atol=1e-5)
    name = "network.blocks.0.attn1.to_q"
    before = base[f"{name}.base_layer.weight"]
    assert not torch.equal(dict(merged.named_parameters())[f"{name}.weight"], before)


def test_the_table_by_noise_level_is_that_of_an_independent_computation(options, start):
    task, loop = start(options(max_steps=3))
    loop.run()
    task.calibrate()
    table, data = task.reward.calibration, task.held_out
    for place in range(2):
        right, norms = {0: 0.0, 1: 0.0}, []
        for row in range(len(data)):
            batch = data.bin_batch([row], place / 2, (place + 1) / 2, task.config.seed)[0]
            sigma = batch.sigma[0]
            assert place / 2 <= sigma.item() < (place + 1) / 2
            rewards = []
            for path in (data.pairs[row].chosen, data.pairs[row].rejected):
                x_t = torch.lerp(data.cache.latents(path), batch.noise[0], sigma.item())[None].requires_grad_(True)
                texts = {"text": data.cache.conditioning(data.pairs[row].pair.prompt)["text"][None]}
                r = task.reward.rewards(x_t, sigma[None], texts)[0]
                rewards.append(r.detach())
                if row < 3:
                    slope = torch.autograd.grad(r[1], x_t)[0]
                    norms.append(slope.square().sum().sqrt().item() * slope.numel() ** 0.5)
            for dimension in right:
                lead = (rewards[0] - rewards[1])[dimension].item() * batch.labels[0, dimension].item()
                right[dimension] += 1.0 if lead > 0 else 0.0
        assert table.accuracy["VQ"][place] == pytest.approx(right[0] / len(data))
        assert table.accuracy["MQ"][place] == pytest.approx(right[1] / len(data))
        assert table.pairs["VQ"][place] == len(data) and table.pairs["TA"][place] == 0
        assert table.gradient_scale["MQ"][place] == pytest.approx(sum(norms) / len(norms), rel=1e-4)


def test_accuracy_within_prompts_is_that_of_an_independent_computation_with_a_noise_for_each_clip(options, start):
    task, loop = start(options(max_steps=3))
    loop.run()
    task.calibrate()
    table, data = task.reward.calibration, task.held_out
    prompts = sorted({pair.prompt for pair in data.pairs})
    clips = [path for pair in data.pairs for path in (pair.chosen, pair.rejected)]
    for place in range(2):
        means, levels = [], {}
        for prompt in prompts:
            right = []
            for row, pair in enumerate(data.pairs):
                if pair.prompt != prompt:
                    continue
                rewards, drawn = [], []
                for side, path in zip(data.in_bin_within_prompt(row, place / 2, place / 2 + 0.5, task.config.seed), (pair.chosen, pair.rejected), strict=True):  # fmt: skip
                    assert (side.clip, side.noise.key[-1]) == (path, clips.index(path))
                    noise, sigma = side.noise.drawn((16, 2, 4, 4)), torch.tensor(side.noise.sigma, dtype=torch.float32)
                    levels.setdefault(prompt, set()).add(side.noise.sigma)
                    x_t = torch.lerp(data.cache.latents(path), noise, sigma)[None]
                    texts = {"text": data.cache.conditioning(prompt)["text"][None]}
                    with torch.no_grad():
                        rewards.append(task.reward.rewards(x_t, sigma[None], texts)[0])
                    drawn.append(noise)
                assert not torch.equal(*drawn)
                lead = (rewards[0] - rewards[1])[0].item() * pair.pair.label_codes(["VQ"])[0]
                right.append(1.0 if lead > 0 else 0.0)
            means.append(sum(right) / len(right))
        assert all(len(of_prompt) == 1 for of_prompt in levels.values()) and len(levels) == len(prompts)
        assert table.within["VQ"][place] == pytest.approx(sum(means) / len(means))
        assert table.prompts["VQ"][place] == len(prompts) and table.prompts["TA"][place] == 0
    again = load_latent_reward(task.export(loop.step)).calibration
    assert again.within == table.within and again.within["TA"] == (None, None)
    assert task.judge.accuracy(task.module)["within_VQ"] == pytest.approx(table.within_accuracy("VQ"))


def test_equal_rewards_within_a_prompt_count_half(options, start):
    task, _ = start(options())
    for head in task.reward.heads.values():
        torch.nn.init.zeros_(head.out[3].weight)  # says its bias of every clip
    task.calibrate()
    assert task.reward.calibration.within["VQ"] == (0.5, 0.5)


def test_with_nothing_held_out_no_accuracy_is_shown_or_written(options, start):
    task, loop = start(options(max_steps=1), held_out=0)
    assert loop.run() == {}
    task.calibrate()
    table = accuracy_table(task.reward)
    assert "VQ, MQ, TA: held-out accuracy not measured" in table and "%" not in table
    again = load_latent_reward(task.export(loop.step)).calibration
    assert again.accuracy["VQ"] == (None, None) and again.std["VQ"] == 0
    with pytest.raises(GuidanceError, match="not measured"):
        FlowNRG(task.reward.rewards, GuidanceSettings(), again)


def test_a_dimension_without_winners_is_shown_as_not_measured_beside_those_that_were(options, start):
    task, _ = start(options())
    task.calibrate()
    rows = accuracy_table(task.reward).splitlines()
    assert [row.split()[0] for row in rows[1:5]] == ["VQ", "in", "MQ", "in"]
    assert rows[5].startswith("TA: held-out accuracy not measured")


def test_micro_batches_give_the_gradient_of_the_whole_batch(options, start):
    task, _ = start(options(loss={"type": "btt", "reduction": "mean"}))
    gradients = []
    for size in (1, 6):
        task.module.zero_grad()
        for place in range(0, 6, size):
            loss, _ = task.module(task.prepare(range(place, place + size), place))
            (loss * size / 6).backward()
        gradients.append({name: p.grad.clone() for name, p in task.module.named_parameters() if p.requires_grad})
    assert all(torch.allclose(gradients[0][name], value, atol=1e-6) for name, value in gradients[1].items())


def test_held_out_figures_do_not_depend_on_how_many_pairs_are_judged_at_once(options, start, bright_pairs):
    task, _ = start(options())
    tables = [HeldOut(bright_pairs(7), 3, 0, size).accuracy(task.module) for size in (1, 4)]
    assert tables[0] == tables[1]


def test_the_log_leaves_out_dimensions_without_a_winner(options, start):
    import json

    config = options(log_every=2)
    start(config)[1].run()
    lines = [json.loads(line) for line in (config.output / "log.jsonl").read_text().splitlines()]
    train = [line for line in lines if line["kind"] == "train"]
    assert {"loss", "acc_VQ", "acc_MQ", "grad_norm"} <= set(train[0]) and "acc_TA" not in train[0]


def test_the_same_latents_under_other_names_are_the_same_data_and_others_under_the_same_names_are_not(
    options, start, bright_pairs
):
    config = options(max_steps=2)
    _, loop = start(config)
    loop.run()
    task, again = start(config)
    for path in list(task.train.cache.clips)[:1]:
        task.train.cache.clips[path] = task.train.cache.clips[path] + 1
    with pytest.raises(TrainingStopped, match=r"another data \(there are other clips"):
        again.run()
