"""``videoalign align`` on a tiny random Wan: all stages in one command, and the same LoRA however often it was killed."""

import json
import math
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file
from small_alignment import PROMPTS, TRAIN, arguments, files

from videoalign.alignment import align_command
from videoalign.alignment.config import split_of
from videoalign.cli.main import main
from videoalign.cli.options import parse_command
from videoalign.preferences.reading import read_pairs
from videoalign.training.flow.methods import load_method
from videoalign.training.flow.run import run_method
from videoalign.training.loop.log_file import read_log

__all__ = ["files"]


@pytest.fixture(scope="module")
def finished(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "aligned"
    assert main(arguments(files, folder)) == 0
    return folder


def test_prompts_become_a_lora_and_a_comparison_on_prompts_that_were_held_out(finished):
    lora = load_file(finished / "lora.safetensors")
    assert any(
        key.startswith("diffusion_model.blocks.0.") and tensor.abs().max() > 0
        for key, tensor in lora.items()
        if ".lora_B." in key
    )
    held_out = {json.loads(line)["prompt"] for line in (finished / "held_out_prompts.jsonl").read_text().splitlines()}
    pairs = [json.loads(line) for line in (finished / "round_1" / "pairs.jsonl").read_text().splitlines()]
    assert len(held_out) == 1 and {pair["prompt"] for pair in pairs} == set(PROMPTS) - held_out
    comparison = finished / "round_1" / "comparison"
    assert json.loads((comparison / "report.json").read_text())["pairs"] == 1 and (comparison / "index.html").exists()
    compared = [
        json.loads(line)["prompt"] for line in (comparison / "aligned" / "clips.jsonl").read_text().splitlines()
    ]
    assert set(compared) == held_out


def test_what_a_run_wrote_is_read_by_the_next_command_wherever_the_folder_is_moved_to(finished, tmp_path, monkeypatch):
    moved = tmp_path / "moved"
    shutil.copytree(finished, moved)
    monkeypatch.chdir(tmp_path)
    read = read_pairs([moved / "round_1" / "scores.jsonl"])
    assert read and all(clip.is_relative_to(moved) for pair in read for clip in pair.clips.values())
    assert all(
        clip.is_relative_to(moved)
        for pair in read_pairs([moved / "round_1" / "pairs.jsonl"])
        for clip in pair.clips.values()
    )


def test_a_further_round_goes_on_from_the_lora_so_far_and_is_held_to_it(files, finished, tmp_path):
    words = arguments(files, finished)[1:]
    config = parse_command(align_command.Config, "align", words)
    folder, lora = finished / "round_1", finished / "lora.safetensors"
    training = align_command.training_config(
        config, folder / "clips", folder / "pairs.jsonl", tmp_path / "training", lora
    )
    assert training.lora.start == lora and training.lora.reference == "start"
    training, method = training.model_copy(update={"log_every": 1}), load_method("dpo")
    assert run_method(training, method(training.dpo)) == 0
    first = read_log(tmp_path / "training" / "log.jsonl")[0]
    assert first["step"] == 1 and first["loss"] == pytest.approx(math.log(2), abs=1e-6) and first["drift"] == 0


@pytest.mark.parametrize(
    ("prompts", "given", "held_out"),
    [(2, [], 1), (8, [], 2), (17, [], 3), (18, [], 6), (24, [], 6), (40, [], 8), (24, ["--held-out", "0.2"], 5), (3, ["--held-out", "0.9"], 2)],
)  # fmt: skip
def test_six_prompts_are_held_out_where_that_leaves_twice_as_many(tmp_path, prompts, given, held_out):
    file = tmp_path / "prompts.txt"
    file.write_text("".join(f"prompt {number}\n" for number in range(prompts)))
    config = parse_command(align_command.Config, "align", [str(file), "--output", str(tmp_path / "out"), *given])
    training, kept = split_of(config)
    assert len(kept) == held_out and len(training) == prompts - held_out and not {*training} & {*kept}


def test_a_run_that_began_with_another_default_of_held_out_prompts_goes_on_with_it(files, finished, tmp_path):
    folder = tmp_path / "begun"
    shutil.copytree(finished, folder)
    settings = json.loads((folder / "align.json").read_text())
    (folder / "align.json").write_text(json.dumps(settings | {"held_out": 0.2}))
    before = (folder / "held_out_prompts.jsonl").read_text()
    assert main(arguments(files, folder)) == 0
    assert (folder / "held_out_prompts.jsonl").read_text() == before


def test_another_run_in_the_same_folder_is_refused(files, finished, capsys):
    assert main(arguments(files, finished, "--learning-rate", "0.5")) == 1
    assert "other options (learning_rate)" in capsys.readouterr().err


def test_a_finished_run_does_nothing_again(files, finished):
    before = (finished / "lora.safetensors").read_bytes()
    started = time.time()
    assert main(arguments(files, finished)) == 0
    assert (finished / "lora.safetensors").read_bytes() == before
    clips = (finished / "round_1" / "clips" / "videos").iterdir()
    assert all(clip.stat().st_mtime < started for clip in clips)


def test_a_clip_that_cannot_be_scored_is_left_out_and_the_run_ends_with_a_lora(files, tmp_path, monkeypatch, capsys):
    from videoalign.alignment import align_command

    inner = align_command._generate

    def spoilt(config, prompts, folder, *rest):
        status = inner(config, prompts, folder, *rest)
        if folder.name in ("clips", "aligned"):
            sorted((folder / "videos").iterdir())[0].write_bytes(b"not a video")
        return status

    monkeypatch.setattr(align_command, "_generate", spoilt)
    assert main(arguments(files, tmp_path / "out", "--compare-clips", "2")) == 1
    text = capsys.readouterr()
    assert "1 of 4 clips have no scores and are left out" in text.err and "1 pairs are left out" in text.err
    assert (tmp_path / "out" / "lora.safetensors").exists() and "is the LoRA" in text.out
    assert len((tmp_path / "out" / "round_1" / "pairs.jsonl").read_text().splitlines()) == 1
    assert json.loads((tmp_path / "out" / "round_1" / "comparison" / "report.json").read_text())["pairs"] == 1


@pytest.mark.slow
def test_killed_in_every_stage_it_ends_with_the_same_lora(files, finished, tmp_path):
    output = tmp_path / "aligned"
    round_1 = output / "round_1"
    moments = [  # something of each stage is there, the stage is not finished
        lambda: (round_1 / "clips" / "clips.jsonl").exists(),
        lambda: any(round_1.glob("**/part-*.jsonl")),
        lambda: (round_1 / "pairs.jsonl").exists(),
        lambda: any((round_1 / "training").glob("checkpoints/*")),
        lambda: (round_1 / "comparison" / "aligned" / "clips.jsonl").exists(),
    ]
    command = [sys.executable, "-m", "videoalign.cli.main", *arguments(files, output)]
    for moment in moments:
        process = subprocess.Popen(command)
        while not moment() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert main(arguments(files, output)) == 0
    found, expected = (
        load_file(folder / "lora.safetensors") for folder in (output, finished)
    )  # their metadata has dates
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_images_are_refused_with_what_to_do_instead(files, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "prompts.csv").write_text(f"prompt,image\n{PROMPTS[0]},a.png\n{PROMPTS[1]},a.png\n", encoding="utf-8")
    words = [str(word) for word in arguments(files, tmp_path / "run")]
    words[1] = str(tmp_path / "prompts.csv")
    assert main(words) == 1
    assert "names images, which align does not pass on" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("max_step = 3", 2, "unknown key 'max_step' (did you mean 'max_steps'?)"),
        ('log_with = ["wanbd"]', 1, "log_with = wanbd: there is no such tracker"),
    ],
)
def test_a_mistake_in_the_training_options_is_said_before_anything_is_generated(
    line, status, message, files, tmp_path, capsys
):
    (tmp_path / "wrong.toml").write_text(f"{line}\n{TRAIN}", encoding="utf-8")
    assert main(arguments(files, tmp_path / "run", "--train", tmp_path / "wrong.toml")) == status
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_one_of_two_experts_keeps_its_name_to_the_end(files, tmp_path):
    expert = tmp_path / "wan2.2_low_noise.safetensors"
    expert.write_bytes((files / "network.safetensors").read_bytes())
    options = arguments(files, tmp_path / "aligned")
    options[options.index("--model") + 1] = str(expert)
    assert main(options) == 0
    assert (tmp_path / "aligned" / "lora_low_noise.safetensors").exists()
    assert not (tmp_path / "aligned" / "lora.safetensors").exists()


@pytest.mark.long
def test_a_panel_scores_the_clips_and_its_weighted_z_scores_make_the_pairs(files, finished, tmp_path):
    pytest.importorskip("cv2", reason="the judge measures needs OpenCV: pip install '.[measure]'")
    rule = ["--pairs.weight", "VQ=1", "--pairs.weight", "measures.sharpness=2", "--pairs.gate", "measures.black<=1"]
    call = arguments(files, tmp_path / "aligned", "--panel", "measures", *rule)
    assert main(call) == main(call) == 0  # and does nothing again
    folder = tmp_path / "aligned" / "round_1"
    scores = [json.loads(line) for line in (folder / "scores.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["judge"] for row in scores} == {"videoreward+measures"}
    for line in (folder / "pairs.jsonl").read_text(encoding="utf-8").splitlines():
        pair = json.loads(line)
        best, worst = pair["scores_chosen"], pair["scores_rejected"]
        # Of two clips the better one of a mark stands one standard deviation above the mean, the other one below.
        lead = [2 * ((best[name] > worst[name]) - (best[name] < worst[name])) for name in ("VQ", "measures.sharpness")]
        assert best["Overall"] - worst["Overall"] == pytest.approx((lead[0] + 2 * lead[1]) / 3, abs=1e-9)
    report = json.loads((folder / "comparison" / "report.json").read_text(encoding="utf-8"))
    assert list(report["judges"]) == ["the reward reward", "measurements"]
    plain = json.loads((finished / "align.json").read_text(encoding="utf-8"))
    assert "panel" not in plain and "weight" not in plain["pairs"]  # folders of 0.1.0 go on


def test_a_rule_that_cannot_be_is_refused_before_anything_is_generated(files, tmp_path, capsys):
    assert main(arguments(files, tmp_path / "aligned", "--pairs.gate", "measures.black")) == 2
    assert "is no gate" in capsys.readouterr().err and not (tmp_path / "aligned").exists()


@pytest.mark.long
def test_by_rvm_every_clip_of_the_training_prompts_is_trained_on(files, tmp_path, capsys):
    (tmp_path / "rvm.toml").write_text(TRAIN, encoding="utf-8")
    words = arguments(files, tmp_path / "aligned", "--method", "rvm", "--clips-per-prompt", "3")
    words[words.index("--train") + 1] = str(tmp_path / "rvm.toml")
    assert main(words) == 0
    assert "6 clips," in capsys.readouterr().err  # three of each of the two prompts that are not held out
    assert (tmp_path / "aligned" / "lora.safetensors").exists()
    assert main(arguments(files, tmp_path / "x", "--method", "ppo")) == 2
    assert "no training method 'ppo'; known are dpo, rvm, rwr, sft" in capsys.readouterr().err
