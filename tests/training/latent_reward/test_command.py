"""``videoalign train latent-reward`` as a user meets it: micro clips, a tiny VAE and a tiny video model."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_backbones import save_single, tiny
from tiny_vaes import tiny_wan21

from videoalign.backbones.loading import load_backbone
from videoalign.micro_world import write_dataset
from videoalign.reward.latent.reward_file import load_latent_reward
from videoalign.training.loop.state_files import newest_state


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with pairs/ (six pairs), vae/ and model.safetensors (three blocks, the last two unusable)."""
    folder = tmp_path_factory.mktemp("latent-reward")
    write_dataset(folder / "pairs", 6, seed=5)
    tiny_wan21().module.save_pretrained(folder / "vae")
    file = save_single(tiny("wan-t2v"), folder / "model.safetensors")
    state = {
        name: torch.full_like(tensor, float("nan")) if name.startswith(("blocks.1.", "blocks.2.")) else tensor
        for name, tensor in load_file(file).items()
    }
    save_file(state, file)
    return folder


@pytest.fixture
def arguments(world, tmp_path):
    """Arguments of a run of two steps into ``tmp_path/name``; the cache is shared by all runs."""

    def build(name="run", *more):
        options = {
            "data.train": world / "pairs" / "pairs.csv", "data.eval": world / "pairs" / "pairs.jsonl",
            "data.width": 64, "data.height": 64, "data.frames": 17, "data.fps": 8, "data.cache": world / "cache",
            "model.trunk": world / "model.safetensors", "model.vae": world / "vae", "model.text-encoder": "micro",
            "model.blocks": 1, "model.head-width": 8, "optimizer.learning-rate": 1e-3, "max-steps": 2, "batch-size": 4,
            "micro-batch-size": 2, "evaluation.bins": 2, "output": tmp_path / name,
        }  # fmt: skip
        return [f"--{key}={value}" for key, value in options.items()] + list(more)

    return build


def test_it_trains_on_clips_reads_only_the_first_blocks_and_says_what_it_measured(videoalign, arguments, tmp_path):
    outcome = videoalign("train", "latent-reward", *arguments())
    assert outcome.status == 0, outcome.err
    reward = load_latent_reward(tmp_path / "run" / "latent_reward.safetensors")
    assert len(reward.trunk.blocks) == 1 and reward.trunk.total_blocks == 3
    assert sum(reward.calibration.pairs["VQ"]) > 0 and all(
        scale > 0 for scale in reward.calibration.gradient_scale["MQ"]
    )
    assert reward.record.text_encoder == "micro-text-1" and reward.record.vae.endswith("-float32")
    assert "VQ" in outcome.err and "latent_reward_models" in outcome.err
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert any(name.startswith("acc_VQ/0-") for line in lines for name in line)


@pytest.mark.slow
def test_trained_by_lora_a_run_that_is_gone_on_with_gives_one_runs_file_of_which_only_the_adapted_layers_left_the_trunk(
    videoalign, arguments, world, tmp_path
):
    lora = ["--model.lora", "--model.lora-rank=2", "--warmup=0", "--model.save-dtype=float32"]
    parts = [one for one in arguments("parts", *lora) if not one.startswith("--max-steps")]
    for steps in (2, 4):
        outcome = videoalign("train", "latent-reward", *parts, f"--max-steps={steps}")
        assert outcome.status == 0, outcome.err
    assert "Going on from step 2 of 4" in outcome.err
    assert videoalign("train", "latent-reward", *arguments("whole", *lora), "--max-steps=4").status == 0
    ours, expected = (load_file(tmp_path / name / "latent_reward.safetensors") for name in ("parts", "whole"))
    assert ours.keys() == expected.keys() and all(torch.equal(ours[name], expected[name]) for name in expected)
    assert not any("lora" in name or "base_layer" in name for name in ours)
    reward = load_latent_reward(tmp_path / "parts" / "latent_reward.safetensors")
    trunk = load_backbone(str(world / "model.safetensors"), dtype=torch.float32, num_blocks=1)
    before = dict(trunk.module.named_parameters())
    changed = {
        name
        for name, now in reward.trunk.module.named_parameters()
        if f"network.{name}" in ours and not torch.equal(now.float(), before[name])
    }  # the output layers are not in the file
    assert changed and changed <= {f"{target}.weight" for target in reward.trunk.lora_targets()}
    other = videoalign("train", "latent-reward", *arguments("parts"), "--max-steps=6")  # without the adapters
    assert other.status == 1 and "belongs to a run with another" in other.err


def test_scored_clips_of_one_prompt_become_pairs_with_a_margin_for_each_dimension(
    videoalign, arguments, world, tmp_path
):
    clips = sorted((world / "pairs" / "videos").iterdir())[:4]
    prompt = "one red circle moves left over a plain grey ground"
    rows = [
        {"path": str(clip), "prompt": prompt, "VQ": 0.1 * place, "MQ": 1.0 * place, "TA": 0.0, "Overall": 1.1 * place}
        for place, clip in enumerate(clips)
    ]
    scores = tmp_path / "scores.jsonl"
    scores.write_text("".join(json.dumps(row) + "\n" for row in rows))
    from videoalign.training.latent_reward.config import Config
    from videoalign.training.latent_reward.pairs import load_pairs

    model = {"trunk": "t", "vae": "v", "text_encoder": "micro"}
    values = {"data": {"train": [scores], "eval_share": 0}, "margin": {"VQ": 0.15, "MQ": 0.5}, "model": model}
    pairs, _ = load_pairs(Config.model_validate(values))
    assert len(pairs) == 6
    for own in pairs:
        lead = own.pair.scores_chosen["VQ"] - own.pair.scores_rejected["VQ"]
        assert own.pair.labels["VQ"] == ("same" if abs(lead) < 0.15 else "A" if lead > 0 else "B")
        assert own.pair.labels["MQ"] == "A" and own.pair.labels["TA"] == "same"
    changed = [f"--data.train={scores}", "--margin.VQ=0.15", "--margin.MQ=0.5"]
    kept = [own for own in arguments() if not own.startswith("--data.train")]
    assert videoalign("train", "latent-reward", *kept, *changed).status == 0


def test_a_clip_that_cannot_be_encoded_is_named_by_its_row(videoalign, arguments):
    outcome = videoalign("train", "latent-reward", *arguments(), "--data.frames=33")
    assert outcome.status == 1 and "pairs.csv, row 2" in outcome.err and "needs 33" in outcome.err


def test_more_blocks_than_there_are_and_a_model_that_is_none_are_refused(videoalign, arguments, world):
    outcome = videoalign("train", "latent-reward", *arguments(), "--model.blocks=4")
    assert outcome.status == 1 and "blocks 1 to 3" in outcome.err
    vae = world / "vae" / "diffusion_pytorch_model.safetensors"
    outcome = videoalign("train", "latent-reward", *arguments(), f"--model.trunk={vae}")
    assert outcome.status == 1 and str(vae) in outcome.err


def test_unknown_options_are_named(videoalign, arguments):
    outcome = videoalign("train", "latent-reward", *arguments(), "--model.block=4")
    assert outcome.status == 2 and "--model.block" in outcome.err


@pytest.mark.slow
def test_two_processes_train_what_one_does_with_the_same_global_batch(videoalign, arguments, tmp_path):
    for grouped in ("--no-data.group-by-prompt", "--data.group-by-prompt"):
        one, two = f"one{grouped}", f"two{grouped}"
        assert videoalign("train", "latent-reward", *arguments(one), grouped).status == 0
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
        launch += ["-m", "videoalign.cli.main", "train", "latent-reward", *arguments(two), grouped]
        subprocess.run(launch, check=True)
        ours, expected = (newest_state(tmp_path / name / "checkpoints")["weights"] for name in (two, one))
        assert all(torch.allclose(ours[name], value, atol=1e-4) for name, value in expected.items())
        assert (tmp_path / two / "latent_reward.safetensors").exists()


def test_heads_learn_from_a_frozen_trunks_features_which_a_second_run_finds(videoalign, arguments, tmp_path):
    frozen = ["--model.freeze-trunk", "--noise.draws=2"]
    files = []
    for name in ("first", "second"):
        outcome = videoalign("train", "latent-reward", *arguments(name), *frozen)
        assert outcome.status == 0, outcome.err
        assert ("computing features" in outcome.err) == (name == "first")
        files.append(load_file(tmp_path / name / "latent_reward.safetensors"))
    assert all(torch.equal(files[0][key], value) for key, value in files[1].items())
    trunk = load_latent_reward(tmp_path / "first" / "latent_reward.safetensors").trunk.module
    weights = {key: value for key, value in trunk.state_dict().items() if key.startswith("blocks.")}
    before = tiny("wan-t2v").module.state_dict()
    assert weights and all(torch.equal(value, before[key].bfloat16().float()) for key, value in weights.items())
