"""A run as a user meets it: what moves, resuming, and data that cannot be used. On latents, without a VAE."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file
from tiny_wan import SHAPE

from videoalign.errors import CheckpointError, FileError, VideoAlignError
from videoalign.training.flow.diagnostics import Diagnostics
from videoalign.training.flow.methods import load_method
from videoalign.training.flow.methods.rwr import FlowRwr
from videoalign.training.loop.callback import Callback
from videoalign.training.loop.log_file import read_log
from videoalign.training.loop.state_files import newest_state
from videoalign.training.loop.train_loop import TrainingStopped, TrainLoop


def final_weights(config):
    return newest_state(config.output / "checkpoints")["weights"]


def assert_same(ours, expected):
    assert set(ours) == set(expected)
    for name, value in expected.items():
        assert torch.equal(ours[name], value), name


def test_training_moves_the_adapter_alone_and_learns_held_out_preferences(options, task_of, train):
    config = options(max_steps=20, optimizer={"learning_rate": 3e-3}, dpo={"beta": 50.0})
    before = {name: p.clone() for name, p in task_of(config).module.network.named_parameters()}
    task = train(config)
    for name, value in task.module.network.named_parameters():
        moved = not torch.equal(value, before[name])
        assert moved == ("lora_" in name), name
    log = read_log(config.output / "log.jsonl")
    train_lines = [line for line in log if line["kind"] == "train"]
    assert train_lines[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert train_lines[0]["accuracy"] == 0.5
    assert train_lines[-1]["loss"] < 0.6
    held_out = [line for line in log if line["kind"] == "eval"]
    assert held_out[-1]["accuracy"] > 0.7
    assert any("/" in name for name in held_out[-1])


def test_a_run_stopped_after_a_step_and_resumed_equals_the_uninterrupted_one_bit_for_bit(options, train):
    whole, parts = options("whole"), options("parts")
    train(whole)
    train(parts, steps=3)
    train(parts)
    assert_same(final_weights(parts), final_weights(whole))
    logs = [read_log(config.output / "log.jsonl") for config in (whole, parts)]
    assert logs[0] == logs[1]


@pytest.mark.parametrize("rank", [4, 180])  # bitsandbytes keeps the state of matrices below 4096 numbers in 32 bits
def test_adamw_with_a_state_of_8_bits_learns_on_a_cpu_too_and_resumes_bit_for_bit(rank, options, train):
    pytest.importorskip("bitsandbytes", reason="adamw8bit needs bitsandbytes, which is not installed")
    own = {"optimizer": {"kind": "adamw8bit", "learning_rate": 1e-3}, "lora": {"rank": rank, "alpha": rank}}
    whole, parts = options("whole", **own), options("parts", **own)
    train(whole)
    train(parts, steps=3)
    train(parts)
    assert_same(final_weights(parts), final_weights(whole))
    states = newest_state(whole.output / "checkpoints")["optimizer"]["state"].values()
    kept = [state.get("__bnb_optimizer_quant_state__", state)["state1"].dtype for state in states]
    assert set(kept) == {torch.uint8 if rank == 180 else torch.float32}
    losses = [line["loss"] for line in read_log(whole.output / "log.jsonl") if line["kind"] == "train"]
    assert losses[-1] < losses[0]


def test_micro_batches_and_gradient_checkpointing_do_not_change_what_is_learnt(options, train):
    runs = [
        options("one", micro_batch_size=1),
        options("four", micro_batch_size=4, memory={"gradient_checkpointing": True}),
    ]
    for config in runs:
        train(config)
    ours, expected = (final_weights(config) for config in runs)
    assert all(torch.allclose(ours[name], value, atol=2e-5) for name, value in expected.items())


def test_evaluating_more_often_does_not_change_the_training(options, train):
    rare, often = options("rare", eval_every=6), options("often", eval_every=1)
    train(rare)
    train(often)
    assert_same(final_weights(often), final_weights(rare))


@pytest.mark.parametrize("method", ["sft", "rwr"])
def test_the_other_methods_train_too_and_are_judged_by_the_same_held_out_pairs(method, options, pairs, train):
    scores = {"scores_chosen": {"Overall": 2.0}, "scores_rejected": {"Overall": -2.0}}
    config = options(method=method, data={"train": [pairs(**scores)]}, max_steps=20, optimizer={"learning_rate": 3e-3})
    train(config, load_method(method)(getattr(config, method)))
    log = read_log(config.output / "log.jsonl")
    errors = [line["error"] for line in log if line["kind"] == "train"]
    assert errors[-1] < errors[0]
    assert log[-1]["kind"] == "eval"
    assert log[-1]["accuracy"] > 0.7


def test_real_clips_add_their_own_term(options, pairs, train, tmp_path):
    scores = {"scores_chosen": {"Overall": 2.0}, "scores_rejected": {"Overall": -2.0}}
    files = {"data": {"train": [pairs(**scores)]}}
    (tmp_path / "real.jsonl").write_text('{"path": "clips/0_chosen.safetensors", "prompt": "a real clip"}\n')
    losses = []
    for name, rwr in (("plain", {}), ("real", {"real_clips": tmp_path / "real.jsonl", "real_weight": 2.0})):
        config = options(name, method="rwr", max_steps=1, rwr=rwr, **files)
        train(config, FlowRwr(config.rwr))
        losses.append(read_log(config.output / "log.jsonl")[0])
    assert losses[1]["loss"] == pytest.approx(losses[0]["loss"] + 2 * losses[1]["real_error"], rel=1e-5)


def test_a_nan_in_a_clips_latents_stops_the_run_with_the_row_and_keeps_the_state(options, train, tmp_path):
    config = options(data={"eval_share": 0.0})
    broken = tmp_path / "clips" / "5_rejected.safetensors"
    good = broken.read_bytes()
    latents = torch.zeros(SHAPE)
    latents[0, 0, 0, 0] = torch.nan
    save_file({"latents": latents}, broken)
    with pytest.raises(VideoAlignError, match=r"pairs\.jsonl, row 6: the latents of .*5_rejected.* are not finite"):
        train(config)
    broken.write_bytes(good)
    train(config)
    assert newest_state(config.output / "checkpoints")["step"] == 6


@pytest.mark.parametrize("damage", ["truncated", "missing", "unequal"])
def test_a_pair_that_cannot_be_used_is_named_by_its_row(damage, options, train, tmp_path):
    config = options(data={"eval_share": 0.0})
    clip = tmp_path / "clips" / "2_chosen.safetensors"
    if damage == "truncated":
        clip.write_bytes(clip.read_bytes()[:200])
    elif damage == "missing":
        clip.unlink()
    else:
        save_file({"latents": torch.zeros(16, 2, 4, 6)}, clip)
    with pytest.raises(VideoAlignError, match=r"row 3.*(cannot be read|2_chosen|one size and length)"):
        train(config)


def test_a_full_disk_stops_the_run_and_keeps_the_last_state(options, train):
    import resource

    config = options(save_every=1)
    train(config, steps=2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))  # no file may grow beyond this
    try:
        with pytest.raises(CheckpointError, match=r"state-00000003.* could not be written .* free some space"):
            train(config)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert newest_state(config.output / "checkpoints")["step"] == 2
    train(config)
    whole = options("whole", save_every=1)
    train(whole)
    assert_same(final_weights(config), final_weights(whole))


def test_watchers_that_fail_at_the_end_do_not_hide_why_the_run_stopped(options, task_of):
    class Page(Callback):
        def ended(self, run, say):
            raise FileError("curves.html could not be written")

    config, ended = options(), []
    task = task_of(config)

    class Other(Page):
        def ended(self, run, say):
            ended.append(run.step)

    with torch.no_grad():
        next(p for p in task.module.parameters() if p.requires_grad).fill_(float("nan"))
    loop = TrainLoop(task, config, len(task.train), task.fingerprint(), callbacks=[Other(), Page()])
    with pytest.raises(TrainingStopped, match="is not finite") as caught:
        loop.run()
    assert caught.value.__notes__ == ["Besides: curves.html could not be written"] and ended == [0]


@pytest.mark.parametrize(
    "damage",
    [
        "flipped",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("of something else", "truncated", "empty", "no pickle")
        ),
    ],
)
def test_a_damaged_newest_state_is_passed_over_for_the_one_before_it(damage, options, train, capsys):
    config, whole = options(save_every=1, keep_checkpoints=2), options("whole", save_every=1)
    train(config, steps=3)
    newest = config.output / "checkpoints" / "state-00000003" / "training_state.pt"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    new = {
        "flipped": content,
        "truncated": content[:-200],
        "empty": b"",
        "no pickle": b"x" * 99,
        "of something else": b"",
    }
    newest.write_bytes(new[damage])
    if damage == "of something else":  # whole, but no state
        torch.save([1], newest)
        newest.with_name("training_state.pt.sha256").unlink()
    train(config)
    assert "state-00000003/training_state.pt is damaged" in capsys.readouterr().err
    train(whole)
    assert_same(final_weights(config), final_weights(whole))


def test_states_of_later_steps_that_were_damaged_do_not_outlive_the_run(options, train):
    config = options(save_every=1, keep_checkpoints=1)
    train(config, steps=2)
    damaged = config.output / "checkpoints" / "state-00000005"
    damaged.mkdir()
    (damaged / "training_state.pt").write_bytes(b"no state")
    train(config, steps=3)
    assert [path.name for path in damaged.parent.iterdir()] == ["state-00000003"]
    train(config)
    assert newest_state(config.output / "checkpoints")["step"] == 6


def test_a_finished_run_that_is_run_again_adds_nothing_to_its_log(options, train):
    config = options()
    train(config)
    before = (config.output / "log.jsonl").read_bytes()
    train(config)
    assert (config.output / "log.jsonl").read_bytes() == before
    (config.output / "log.jsonl").unlink()  # then the last evaluation is worth a line
    train(config)
    assert [line["kind"] for line in read_log(config.output / "log.jsonl")] == ["eval"]


def test_runs_of_different_precision_follow_one_another_in_one_process(options, train):
    for name, precision in (("a", "float32"), ("b", "bfloat16"), ("c", "float32")):
        train(options(name, precision=precision, max_steps=1))
    assert_same(final_weights(options("c")), final_weights(options("a")))
    assert any(
        not torch.equal(value, final_weights(options("a"))[name]) for name, value in final_weights(options("b")).items()
    )


def test_an_empty_data_set_is_refused_with_what_was_dropped(options, pairs, train):
    config = options(data={"train": [pairs(labels={"Overall": "same"})]})
    with pytest.raises(VideoAlignError, match=r"nothing to train on: 0 pairs of \d+ \(\d+ ties, 0 invalid\)"):
        train(config)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_rows(options, task_of):
    config = options()
    task = task_of(config)
    with torch.no_grad():
        next(p for p in task.module.parameters() if p.requires_grad).fill_(float("nan"))
    with pytest.raises(TrainingStopped, match=r"step 0 is not finite \(rows: .*pairs\.jsonl, row"):
        TrainLoop(task, config, len(task.train), task.fingerprint()).run()


def test_other_options_do_not_resume_a_checkpoint_silently(options, train):
    train(options(), steps=2)
    for changes in ({"dpo": {"beta": 100.0}}, {"noise": {"shift": 3.0}}, {"lora": {"alpha": 4}}):
        with pytest.raises(TrainingStopped, match=next(iter(changes))):
            train(options(**changes))


def test_a_run_with_a_learning_rate_a_hundred_times_too_high_is_called_out(options, pairs, train):
    """And a good one is told that it learns."""
    found = {}
    for name, rate in (("good", 3e-3), ("bad", 0.3)):
        config = options(
            name,
            data={"train": [pairs(24, gap=0.15)], "eval_share": 0.5},
            max_steps=12,
            optimizer={"learning_rate": rate},
            dpo={"beta": 50.0},
        )
        diagnostics = Diagnostics(12)
        train(config, callbacks=[diagnostics])
        found[name] = diagnostics.last
    assert found["good"].state in ("learning", "won")
    assert found["bad"].state in ("diverged", "winner error rising", "far")
    assert "learning rate" in found["bad"].sentence


def test_the_log_is_one_json_object_a_line_with_step_and_kind(options, train):
    config = options()
    train(config)
    lines = [json.loads(line) for line in (config.output / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "train"] == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in lines if line["kind"] == "eval"] == [3, 6]
