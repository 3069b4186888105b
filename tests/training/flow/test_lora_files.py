"""What a run leaves that can be used: the newest, the best and the last LoRA, a longer run, and an early end."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tiny_training import tiny_loop

from videoalign.errors import TrainingStopped
from videoalign.training.flow.lora_files import LoraFiles, export, lora_file
from videoalign.training.loop.callback import Callback
from videoalign.training.loop.log_file import read_log
from videoalign.training.loop.state_files import newest_state


class Judged(Callback):
    """Notes the step of each best evaluation and the adapter as it was then."""

    def __init__(self, task):
        self.task, self.best = task, {}

    def evaluated(self, run, numbers, say):
        if run.evaluations.best[0] == run.step:
            trained = {n: p.detach().clone() for n, p in self.task.module.named_parameters() if p.requires_grad}
            self.best = {"step": run.step, "weights": trained}


def run_of(config, task_of, steps=None):
    task = task_of(config)
    judged = Judged(task)
    loop = tiny_loop(task, [LoraFiles(task), judged], steps)
    if steps is None:
        loop.run()
    else:
        with pytest.raises(KeyboardInterrupt):
            loop.run()
    return task, loop, judged


def check_file(file, weights, step):
    """The file has the adapter's own numbers under ComfyUI's names, and says after which step."""
    written = load_file(file)
    name = "blocks.0.self_attn.q"
    for part in ("lora_A", "lora_B"):
        [ours] = [value for key, value in weights.items() if f"blocks.0.attn1.to_q.{part}" in key]
        assert torch.equal(written[f"diffusion_model.{name}.{part}.weight"], ours.to(torch.bfloat16))
    assert written[f"diffusion_model.{name}.alpha"] == 8
    with safe_open(file, "pt") as opened:
        assert opened.metadata()["videoalign.steps"] == str(step)
        return opened.metadata()


def test_a_run_that_is_stopped_leaves_the_newest_lora_and_the_best_one(options, task_of):
    config = options(eval_every=1, save_every=2)
    _, loop, judged = run_of(config, task_of, steps=3)
    state = newest_state(config.output / "checkpoints")
    assert state["step"] == 3
    check_file(config.output / "lora_newest.safetensors", state["weights"], 3)
    said = check_file(config.output / "lora_best.safetensors", judged.best["weights"], judged.best["step"])
    accuracy = {
        line["step"]: line["accuracy"] for line in read_log(config.output / "log.jsonl") if line["kind"] == "eval"
    }
    assert json.loads(said["videoalign.held_out"])["accuracy"] == pytest.approx(max(accuracy.values()))
    assert not lora_file(config).exists() and loop.evaluations.best[1] == max(accuracy.values())


def test_a_lora_that_nothing_was_held_out_for_says_not_measured(options, task_of):
    config = options(data={"eval_share": 0.0}, max_steps=1)
    task, loop, _ = run_of(config, task_of)
    assert not (config.output / "lora_best.safetensors").exists()
    with safe_open(export(task, lora_file(config), loop.step, {}), "pt") as opened:
        assert opened.metadata()["videoalign.held_out"] == "not measured"


def test_the_experts_names_are_in_all_files(options):
    config = options(model={"expert": "high_noise"})
    names = [lora_file(config, which).name for which in ("", "newest", "best")]
    assert names == [f"lora{which}_high_noise.safetensors" for which in ("", "_newest", "_best")]


def test_a_finished_run_can_be_made_longer_and_equals_the_long_one_bit_for_bit(options, train, capsys):
    whole, parts = options("whole", eval_every=3), options("parts", max_steps=3, eval_every=3)
    train(whole)
    train(parts)
    longer = parts.model_copy(update={"max_steps": 6})
    train(longer)
    said = capsys.readouterr().err
    assert "made longer, from 3 steps" in said and "0.001 at the next step" in said
    ours, expected = (newest_state(config.output / "checkpoints") for config in (parts, whole))
    assert all(torch.equal(ours["weights"][name], value) for name, value in expected["weights"].items())
    assert ours["step"] == 6 and ours["evaluations"] == expected["evaluations"]
    with pytest.raises(TrainingStopped, match="a run of 6 steps, and 3 are asked for"):
        train(parts)


def test_a_falling_rate_goes_on_as_the_longer_schedule_has_it(options, train, capsys):
    short = options(max_steps=2, schedule="linear")
    train(short)
    train(short.model_copy(update={"max_steps": 4}))
    assert (
        "schedule of 4 steps has it: 0.0005 at the next step, where that of 2 steps had 0." in capsys.readouterr().err
    )


def test_patience_ends_a_run_that_gets_no_better_and_it_stays_ended(options, task_of, capsys):
    # a rate so low that the ranking of the held-out pairs never changes
    config = options(max_steps=50, eval_every=1, patience=2, optimizer={"learning_rate": 1e-12})
    _, loop, _ = run_of(config, task_of)
    assert loop.step == 3 and loop.evaluations.best[0] == 1
    assert "Ended at step 3 of 50: no better held-out accuracy" in capsys.readouterr().err
    assert newest_state(config.output / "checkpoints")["step"] == 3
    before = read_log(config.output / "log.jsonl")
    _, again, _ = run_of(config, task_of)
    assert again.step == 3 and read_log(config.output / "log.jsonl") == before
    _, on, _ = run_of(config.model_copy(update={"patience": 4}), task_of)
    assert on.step == 5


def test_patience_without_anything_held_out_is_refused_before_training(options, task_of):
    with pytest.raises(TrainingStopped, match=r"patience needs held-out pairs.*data\.eval"):
        run_of(options(patience=2, data={"eval_share": 0.0}), task_of)


def test_a_small_set_is_trained_long_enough_to_be_seen_without_any_option(options, task_of, capsys):
    config = options(optimizer={"learning_rate": 1e-3})
    values = config.model_dump(exclude={"max_steps", "batch_size", "epochs"}, exclude_unset=True)
    task, loop, _ = run_of(type(config).model_validate(values), task_of)
    rows = len(task.train)
    assert loop.batch_size == rows == 6 and loop.steps == 5  # 0.01 sqrt(3 * 4) / 8 = 0.0043 at 0.001 a step
    said = capsys.readouterr().err
    assert f"batch_size 6 and 5 steps, chosen for {rows} rows" in said and "WARNING" not in said
    moved = max(float(p.detach().abs().max()) for n, p in task.module.named_parameters() if "lora_B" in n)
    assert moved > 0.5 * task.visible_move
    run_of(type(config).model_validate(values), task_of)  # which finds its own run finished


def test_a_run_that_moves_nothing_is_warned_of_before_its_first_step(options, task_of, capsys):
    run_of(options(max_steps=1, batch_size=64, optimizer={"learning_rate": 5e-6}), task_of)
    said = capsys.readouterr().err
    assert "WARNING: A batch of 64 is larger than the 6 rows" in said
    assert (
        "WARNING: 1 step at a learning rate of 5e-06 moves a weight by at most about 5e-06: no visible effect" in said
    )
