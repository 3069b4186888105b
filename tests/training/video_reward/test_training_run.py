"""Training runs as a user meets them: resuming, dying, and data that cannot be used."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from videoalign.errors import VideoAlignError
from videoalign.training import train_video_reward_command
from videoalign.training.loop.state_files import newest_state
from videoalign.training.loop.train_loop import TrainingStopped, TrainLoop
from videoalign.training.video_reward.task import VideoRewardTask


def final_weights(config):
    return newest_state(config.output / "checkpoints")["weights"]


def assert_same(ours, expected):
    assert set(ours) == set(expected)
    for name, value in expected.items():
        assert torch.equal(ours[name], value), name


def train(config, steps=None):
    """Run the loop, stopping (as Ctrl-C does, after the step) when ``steps`` are done."""
    task = VideoRewardTask(config)
    loop = TrainLoop(task, config, len(task.train), task.fingerprint())
    if steps is None:
        return loop.run()
    optimize = loop._optimize

    def stop_at(rows, micro_batches):
        loop._stop = loop.step + 1 >= steps
        return optimize(rows, micro_batches)

    loop._optimize = stop_at
    with pytest.raises(KeyboardInterrupt):
        loop.run()


def test_a_run_stopped_after_a_step_and_resumed_equals_the_uninterrupted_one_bit_for_bit(options):
    whole, parts = options("whole"), options("parts")
    train(whole)
    train(parts, steps=3)
    train(parts)
    assert_same(final_weights(parts), final_weights(whole))
    lines = [[json.loads(line) for line in (c.output / "log.jsonl").read_text().splitlines()] for c in (whole, parts)]
    assert lines[0][-1] == lines[1][-1]


def test_training_moves_what_it_should_and_lowers_the_loss(options):
    config = options(max_steps=12, micro_batch_size=4, batch_size=4, log_every=2, model={"lora_dropout": 0.0})
    task = VideoRewardTask(config)
    frozen = {n: p.detach().clone() for n, p in task.reward.network.named_parameters() if not p.requires_grad}
    TrainLoop(task, config, len(task.train), task.fingerprint()).run()
    now = dict(task.reward.network.named_parameters())
    assert frozen and all(torch.equal(now[name], value) for name, value in frozen.items())
    losses = [json.loads(line) for line in (config.output / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in losses if line["kind"] == "train"]
    assert losses[-1] < losses[0]


def test_a_reward_that_says_nothing_is_right_half_of_the_time_in_the_log_as_in_the_evaluation(options):
    task = VideoRewardTask(options())
    with torch.no_grad():
        task.reward.network.rm_head.weight.zero_()
        _, logged = task.module(task.train.batch([0, 1, 2]))
        measured = task.evaluate(task.module)
    assert logged and {name: share for name, (share, _) in logged.items()} == dict.fromkeys(logged, 0.5)
    assert measured == dict.fromkeys(measured, 0.5)


@pytest.mark.slow
def test_evaluating_more_often_does_not_change_the_training(options):
    rare, often = options("rare", eval_every=6), options("often", eval_every=1)
    train(rare)
    train(often)
    assert_same(final_weights(often), final_weights(rare))


def test_micro_batches_give_the_gradient_of_the_whole_batch(options):
    one, four = options("one", micro_batch_size=1), options("four", micro_batch_size=4)
    for config in (one, four):
        train(config.model_copy(update={"model": config.model.model_copy(update={"lora_dropout": 0.0})}))
    ours, expected = final_weights(one), final_weights(four)
    for name, value in expected.items():
        assert torch.allclose(ours[name], value, atol=2e-4), name


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed_the_run_ends_with_the_same_weights(options, tmp_path):
    whole, killed = options("whole", save_every=1), options("killed", save_every=1)
    train(whole)
    file = tmp_path / "killed.json"
    file.write_text(killed.model_dump_json())
    code = (
        "import sys; from videoalign.training.video_reward.config import Config; "
        "from videoalign.training.train_video_reward_command import run; "
        f"sys.exit(run(Config.model_validate_json(open({str(file)!r}).read())))"
    )
    rng = random.Random(0)
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        deadline = time.time() + 60
        while not (killed.output / "checkpoints").exists() and time.time() < deadline and process.poll() is None:
            time.sleep(0.05)
        time.sleep(rng.uniform(0, 2))
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ.copy())
    assert_same(final_weights(killed), final_weights(whole))
    assert (killed.output / "videoreward.safetensors").exists()


def test_a_run_with_other_options_does_not_resume_a_checkpoint_silently(options):
    train(options(), steps=2)
    with pytest.raises(TrainingStopped, match="optimizer"):
        train(options(optimizer={"learning_rate": 5e-4}))
    train(options(optimizer={"learning_rate": 5e-4}, overwrite=True))


def test_a_clip_that_cannot_be_read_stops_the_run_with_its_row_and_keeps_the_state(options, micro, tmp_path):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(micro / "data", broken)
    config = options(data={"train": [broken / "pairs.csv"], "eval": []}, eval_every=100)
    victim = sorted((broken / "videos").iterdir())[3]
    victim.write_bytes(victim.read_bytes()[:300])
    with pytest.raises(VideoAlignError, match=r"pairs\.csv, row 3"):
        train(config)
    shutil.copy(micro / "data" / "videos" / victim.name, victim)
    train(config)  # and after repair it goes on
    assert newest_state(config.output / "checkpoints")["step"] == 6


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_rows(options):
    config = options()
    task = VideoRewardTask(config)
    with torch.no_grad():
        task.reward.network.rm_head.weight.fill_(float("nan"))
    with pytest.raises(TrainingStopped, match=r"step 0 is not finite \(rows: .*pairs\.csv, row"):
        TrainLoop(task, config, len(task.train), task.fingerprint()).run()


def test_an_unknown_label_and_a_missing_column_name_row_and_column(options, micro, tmp_path):
    text = (micro / "data" / "pairs.csv").read_text()
    header, first, rest = text.split("\n", 2)
    wrong = tmp_path / "wrong.csv"
    place = header.split(",").index("VQ")
    cells = first.split(",")
    cells[place] = "better"
    wrong.write_text("\n".join([header, ",".join(cells), rest]))
    with pytest.raises(VideoAlignError, match=r"(?s)row 1.*VQ.*better"):
        VideoRewardTask(options(data={"train": [wrong], "root": micro / "data"}))
    wrong.write_text(text.replace("path_B", "path_C", 1))
    with pytest.raises(VideoAlignError, match="path_B"):
        VideoRewardTask(options(data={"train": [wrong], "root": micro / "data"}))


def test_a_missing_clip_is_reported_before_training_starts(options, micro, tmp_path):
    moved = tmp_path / "pairs.csv"
    moved.write_text((micro / "data" / "pairs.csv").read_text())
    with pytest.raises(VideoAlignError, match="clips are missing"):
        VideoRewardTask(options(data={"train": [moved]}))


def test_held_out_prompts_are_not_trained_on(options):
    task = VideoRewardTask(options(data={"eval": [], "eval_share": 0.4}))
    assert task.held_out.pairs
    assert not {p.pair.prompt for p in task.train.pairs} & {p.pair.prompt for p in task.held_out.pairs}


def test_the_command_trains_and_leaves_a_model_that_scores(options, micro):
    config = options(max_steps=2)
    assert train_video_reward_command.run(config) == 0
    from videoalign.reward.loading import load_video_reward

    clip = sorted((micro / "data" / "videos").iterdir())[0]
    prompt = "one red circle moves left over a plain grey ground"
    scores = load_video_reward(config.output / "videoreward.safetensors", device="cpu").score([clip], [prompt])[0]
    assert scores.Overall == pytest.approx(scores.VQ + scores.MQ + scores.TA)


@pytest.mark.slow
def test_two_processes_train_what_one_does_with_the_same_global_batch(options, tmp_path):
    changes = {"model": {"lora_dropout": 0.0}, "max_steps": 4, "micro_batch_size": 2}
    one, two = options("one", **changes), options("two", **changes)
    train(one)
    file = tmp_path / "two.toml"
    sections = two.model_dump(mode="json", exclude_none=True)
    plain = {key: value for key, value in sections.items() if not isinstance(value, dict)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items()]
    for section in ("data", "model", "optimizer", "loss"):
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in sections[section].items())]
    file.write_text("\n".join(lines))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    launch += ["-m", "videoalign.cli.main", "train", "video-reward", "--config", str(file)]
    subprocess.run(launch, check=True)
    ours, expected = final_weights(two), final_weights(one)
    for name, value in expected.items():
        assert torch.allclose(ours[name], value, atol=1e-4), name
    assert (two.output / "videoreward.safetensors").exists()


def test_a_run_knows_its_clips_and_its_base_model_by_content(options):
    config = options()
    task = VideoRewardTask(config)
    before, fingerprint = task.contents(), task.fingerprint()
    clip = task.train.pairs[0].chosen
    whole = clip.read_bytes()
    try:
        clip.write_bytes(whole + b"\0")
        assert task.contents()["data"] != before["data"] and task.fingerprint() == fingerprint
    finally:
        clip.write_bytes(whole)
    assert task.contents() == before
    assert before["model"]["base"] != str(config.model.base)  # a digest
    assert (config.output / "digests.json").is_file()
