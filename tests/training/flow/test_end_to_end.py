"""From MP4 files and a preference file to a LoRA: real clips, VAE, text encoder, network files and command line; tiny."""

import errno
import json
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_vaes import tiny_wan21
from tiny_wan import CONFIG

from videoalign.backbones.loading import build_backbone
from videoalign.cli.main import main
from videoalign.micro_world import write_dataset
from videoalign.training.loop.state_files import newest_state


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with data/ (six pairs of micro clips), vae.safetensors in ComfyUI's names and model/ (a diffusers folder)."""
    folder = tmp_path_factory.mktemp("world")
    write_dataset(folder / "data", 6, seed=5)
    save_file(
        {name: value.contiguous() for name, value in tiny_wan21().original_state_dict().items()},
        folder / "vae.safetensors",
    )
    torch.manual_seed(0)
    build_backbone("wan", CONFIG | {"text_dim": 4096}).module.save_pretrained(folder / "model")
    return folder


@pytest.fixture
def arguments(world, tmp_path):
    """The command line of a run of four steps; further options are appended."""

    def build(*more, method="dpo", output="run", cache=None):
        return [
            "train", method, "--output", str(tmp_path / output), "--max-steps", "4", "--batch-size", "2", "--save-every", "1",
            "--eval-every", "2", "--log-every", "1", "--precision", "float32", "--no-tensorboard",
            "--data.train", str(world / "data" / "pairs.jsonl"), "--data.eval-share", "0.34", "--data.cache", str(cache or world / "cache"),
            "--data.width", "64", "--data.height", "64", "--data.frames", "17", "--data.fps", "8",
            "--model.transformer", str(world / "model"), "--model.vae", str(world / "vae.safetensors"), "--model.text-encoder", "micro",
            "--lora.rank", "4", "--lora.alpha", "8", "--lora.dtype", "float32", "--optimizer.learning-rate", "1e-3",
            "--memory.base-dtype", "float32", "--evaluation.levels", "2", *more,
        ]  # fmt: skip

    return build


def call(arguments):
    try:
        return main(arguments)
    except SystemExit as stopped:
        return stopped.code


def test_the_command_makes_a_lora_with_comfyuis_keys_and_what_is_known_about_the_run(arguments, tmp_path, capsys):
    assert call(arguments()) == 0, capsys.readouterr().err
    file = tmp_path / "run" / "lora.safetensors"
    tensors = load_file(file)
    assert {name.split(".")[0] for name in tensors} == {"diffusion_model"}
    assert len(tensors) == 2 * 8 * 3  # two blocks, q k v o of two attentions; A, B, alpha
    assert all(value == 8 for name, value in tensors.items() if name.endswith("alpha"))
    assert any(value.any() for name, value in tensors.items() if "lora_B" in name)
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    assert metadata["videoalign.method"] == "dpo"
    assert json.loads(metadata["videoalign.beta"]) == 500
    assert metadata["videoalign.reduction"] == "mean"
    assert metadata["videoalign.data_hash"]
    assert "<svg" in (tmp_path / "run" / "curves.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "more"), [("sft", ()), ("rwr", ("--data.prefer", "weighted", "--rwr.temperature", "0.5"))]
)
def test_the_other_methods_do_too(method, more, arguments, tmp_path, capsys):
    assert call(arguments(*more, method=method)) == 0, capsys.readouterr().err
    with safe_open(tmp_path / "run" / "lora.safetensors", framework="pt") as opened:
        assert opened.metadata()["videoalign.method"] == method


def test_sft_trains_on_what_filter_keeps_and_other_methods_say_that_they_cannot(arguments, world, tmp_path, capsys):
    pairs = [json.loads(line) for line in (world / "data" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    scores = [
        {"path": pair[side], "prompt": pair["prompt"], "VQ": float(side == "chosen")}
        for pair in pairs
        for side in ("chosen", "rejected")
    ]
    (world / "data" / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in scores), encoding="utf-8")
    kept = tmp_path / "kept"
    assert (
        call(
            ["filter", str(world / "data" / "scores.jsonl"), "--output", str(kept), "--keep", "VQ>0", "--examples", "0"]
        )
        == 0
    )
    single = arguments("--data.clips", str(kept / "clips.jsonl"), method="sft")
    place = single.index("--data.train")
    del single[place : place + 2]
    assert call(single) == 0, capsys.readouterr().err
    assert "6 single clips; 0 pairs held out" in capsys.readouterr().err
    assert (tmp_path / "run" / "lora.safetensors").is_file()
    assert call(arguments("--data.clips", str(kept / "clips.jsonl"), output="dpo")) == 2
    assert "train dpo needs pairs of clips" in capsys.readouterr().err


@pytest.mark.slow
def test_on_a_network_in_4_bits_too_and_the_lora_loads(arguments, world, tmp_path, capsys):
    pytest.importorskip("bitsandbytes", reason="4-bit weights need bitsandbytes, which is not installed")
    from videoalign.backbones.loading import load_backbone
    from videoalign.lora.reading import load_lora

    more = ("--memory.base-dtype", "nf4", "--memory.offload-blocks", "--optimizer.kind", "adamw8bit")
    assert call(arguments(*more)) == 0, capsys.readouterr().err
    weights = load_lora(tmp_path / "run" / "lora.safetensors", load_backbone(world / "model"))
    assert len(weights) == 2 * 8
    assert all(own.B.any() and own.B.isfinite().all() for own in weights.values())


@pytest.mark.slow
def test_an_expert_trains_on_its_own_noise_levels_and_names_its_lora(arguments, tmp_path, capsys):
    assert call(arguments("--model.expert", "high_noise", "--max-steps", "2")) == 0, capsys.readouterr().err
    with safe_open(tmp_path / "run" / "lora_high_noise.safetensors", framework="pt") as opened:
        assert json.loads(opened.metadata()["videoalign.sigma_range"]) == [0.875, 1.0]
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    levels = {name.partition("/")[2] for line in lines for name in line if name.startswith("margin/")}
    assert levels == {"0.8-1"}


@pytest.mark.slow
def test_a_file_that_is_named_as_an_expert_is_trained_as_one_and_resumes_with_the_option(
    arguments, world, tmp_path, capsys
):
    named = tmp_path / "wan2.2_low_noise_14B"
    shutil.copytree(world / "model", named)
    model = ("--model.transformer", str(named))
    assert call(arguments(*model, "--max-steps", "2")) == 0, capsys.readouterr().err
    assert "is the low_noise expert of Wan 2.2 by its name" in capsys.readouterr().err
    file = tmp_path / "run" / "lora_low_noise.safetensors"
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    assert (
        json.loads(metadata["videoalign.sigma_range"]) == [0.0, 0.875] and metadata["videoalign.expert"] == "low_noise"
    )
    assert call(arguments(*model, "--model.expert", "low_noise", "--max-steps", "2")) == 0, capsys.readouterr().err
    assert call(arguments(*model, "--model.expert", "high_noise", "--max-steps", "2", output="other")) == 1
    assert "is the low_noise expert by its name" in capsys.readouterr().err
    start = ("--lora.start", str(file), "--model.expert", "high_noise", "--max-steps", "1")
    assert call(arguments(*start, output="third")) == 1
    assert "is a LoRA of Wan 2.2's low_noise expert, and the model is the high_noise one" in capsys.readouterr().err


def test_comfyuis_folder_is_looked_at_before_anything_is_done(arguments, tmp_path, capsys):
    assert call(arguments("--lora.comfyui", str(tmp_path / "nothing"))) == 1
    assert "has no models/loras folder" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_lora_that_cannot_be_copied_at_the_end_is_said_to_be_there(arguments, tmp_path, capsys, monkeypatch):
    from videoalign.lora import comfyui_folder

    loras = tmp_path / "ComfyUI" / "models" / "loras"
    loras.mkdir(parents=True)

    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(comfyui_folder.shutil, "copyfile", full)
    assert call(arguments("--lora.comfyui", str(tmp_path / "ComfyUI"), "--max-steps", "1")) == 1
    file = tmp_path / "run" / "lora.safetensors"
    assert f"The LoRA is finished and lies in {file}, but could not be copied" in capsys.readouterr().err
    assert file.exists() and list(loras.iterdir()) == []


def test_a_lora_can_be_gone_on_from(arguments, tmp_path, capsys):
    assert call(arguments("--max-steps", "2")) == 0, capsys.readouterr().err
    first = load_file(tmp_path / "run" / "lora.safetensors")
    more = [
        "--lora.start",
        str(tmp_path / "run" / "lora.safetensors"),
        "--max-steps",
        "1",
        "--optimizer.learning-rate",
        "1e-9",
    ]
    assert call(arguments(*more, output="second")) == 0, capsys.readouterr().err
    second = load_file(tmp_path / "second" / "lora.safetensors")
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)


def test_previews_are_made_at_the_start_and_at_the_end(arguments, tmp_path, capsys):
    prompt = "one red circle moves left over a plain grey ground"
    more = ["--preview.prompts", prompt, "--preview.steps", "2", "--preview.guidance", "2", "--max-steps", "2"]
    assert call(arguments(*more)) == 0, capsys.readouterr().err
    from videoalign.micro_world import read_video

    clips = sorted((tmp_path / "run" / "previews").glob("step-*/0.mp4"))
    assert [clip.parent.name for clip in clips] == ["step-00000000", "step-00000002"]
    frames, fps = read_video(clips[0])
    assert (frames.shape, fps) == ((17, 64, 64, 3), 8.0)


def test_a_truncated_video_takes_its_row_along_and_the_run_goes_on_bit_for_bit(arguments, world, tmp_path, capsys):
    import shutil

    shutil.copytree(world / "data", tmp_path / "broken")
    rows = [json.loads(line) for line in (tmp_path / "broken" / "pairs.jsonl").read_text().splitlines()]
    number, row = next((number, row) for number, row in enumerate(rows, 1) if row["labels"]["Overall"] == "A")
    victim = tmp_path / "broken" / row["rejected"]
    victim.write_bytes(victim.read_bytes()[:300])

    def broken(*more, **options):
        words = arguments(*more, "--data.cache", str(tmp_path / "broken_cache"), "--data.eval-share", "0", **options)
        return [word.replace(str(world / "data"), str(tmp_path / "broken")) for word in words]

    assert call(broken(output="whole")) == 0
    said = capsys.readouterr().err
    assert f"pairs.jsonl, row {number} " in said and "rows left out: 1" in said
    assert row["rejected"] in (tmp_path / "whole" / "left_out.txt").read_text()
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    states = sorted((tmp_path / "parts" / "checkpoints").glob("state-*"))
    assert len(states) > 1
    shutil.rmtree(states[-1])  # as if the run had ended a step earlier
    assert call(broken(output="parts")) == 0
    expected, found = (newest_state(tmp_path / name / "checkpoints")["weights"] for name in ("whole", "parts"))
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    for other in rows:
        if other is not row:
            (tmp_path / "broken" / other["chosen"]).write_bytes(b"not a video")
    assert call(broken(output="most")) == 1
    assert "rows cannot be used; up to half would be left out" in capsys.readouterr().err


def killed_run(arguments, tmp_path, kills, seed):
    """A run that is killed at random moments of its training, and at last left alone; its last state and what was killed."""
    command = [sys.executable, "-m", "videoalign.cli.main", *arguments]
    chance, codes = random.Random(seed), []
    while len(codes) < kills:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if "steps." in line:  # what comes now is training
                break
        time.sleep(chance.uniform(0, 1.0))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        codes.append(process.returncode)
    subprocess.run(command, check=True, capture_output=True)
    return newest_state(tmp_path / "killed" / "checkpoints")["weights"], codes


@pytest.mark.slow
@pytest.mark.parametrize(("kills", "steps"), [(1, 4), (10, 24)])
def test_killed_at_random_moments_and_resumed_the_lora_is_the_uninterrupted_ones_bit_for_bit(
    kills, steps, arguments, tmp_path
):
    more = ("--max-steps", str(steps))
    assert call(arguments(*more, output="whole")) == 0
    expected = newest_state(tmp_path / "whole" / "checkpoints")["weights"]
    found, codes = killed_run(arguments(*more, output="killed"), tmp_path, kills, seed=kills)
    assert codes.count(-signal.SIGKILL) >= kills / 2
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    files = [load_file(tmp_path / name / "lora.safetensors") for name in ("whole", "killed")]
    assert all(torch.equal(files[0][name], files[1][name]) for name in files[0])


@pytest.mark.slow
def test_two_processes_give_the_loss_curve_of_one_with_the_same_global_batch(arguments, tmp_path):
    from videoalign.training.loop.log_file import read_log

    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",  # takes a free port
        "--nproc_per_node",
        "2",
    ]
    launch += ["-m", "videoalign.cli.main", *arguments(output="two")]
    subprocess.run(launch, check=True, capture_output=True)
    assert call(arguments(output="one")) == 0
    one, two = (read_log(tmp_path / name / "log.jsonl") for name in ("one", "two"))
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for ours, theirs in zip(one, two, strict=True):
        for name, rounding in {
            "loss": 1e-5,
            "margin": 1e-4,
            "winner_error": 1e-5,
            "accuracy": 0,
        }.items():  # margin: times beta
            assert ours[name] == pytest.approx(theirs[name], rel=1e-5, abs=rounding), (ours["step"], name)


@pytest.mark.long
def test_both_experts_of_wan_2_2_are_trained_by_one_command(arguments, world, tmp_path, capsys):
    for expert in ("high_noise", "low_noise"):
        shutil.copytree(world / "model", tmp_path / f"wan_{expert}")
    words = arguments("--model.other-expert", str(tmp_path / "wan_low_noise"))
    words[words.index("--model.transformer") + 1] = str(tmp_path / "wan_high_noise")
    assert call(words) == 0, capsys.readouterr().err
    for expert in ("high_noise", "low_noise"):
        with safe_open(tmp_path / "run" / expert / f"lora_{expert}.safetensors", framework="pt") as file:
            assert expert in file.metadata()["videoalign.expert"]
