"""``videoalign generate`` with particles: the plain clips where nothing is chosen, the same ones however it was stopped, and the cost."""

import json
from dataclasses import replace

import pytest
import torch
from guidance_prompts import random_reward
from safetensors.torch import save_file
from tiny_backbones import original_state, tiny
from tiny_vaes import tiny_wan21

from videoalign.backbones.sampling import generate
from videoalign.backbones.text_loading import load_text_encoder
from videoalign.cli.main import main
from videoalign.generation.particles import ParticleSampler, Resampling
from videoalign.guidance.resampling.settings import FeynmanKacSettings, RGRPSettings
from videoalign.reward.latent.reward_file import save_latent_reward

PROMPTS = ["one red circle moves left over a plain grey ground", "two blue squares move up over a plain white ground"]
RAW = ("--resampling.mode", "raw", "--resampling.strength", 50)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    save_file(original_state(tiny("wan-t2v")), folder / "network.safetensors")
    save_file(
        {name: own.contiguous() for name, own in tiny_wan21().original_state_dict().items()}, folder / "vae.safetensors"
    )
    (folder / "prompts.txt").write_text("\n".join(PROMPTS), encoding="utf-8")
    for seed in (3, 4):
        save_latent_reward(
            folder / f"reward{seed}.safetensors", random_reward(tiny("wan-t2v", seed=seed)), torch.float32
        )
    return folder


def run(models, output, *options, reward=3, command="generate"):
    own = ["--model", models / "network.safetensors", "--vae", models / "vae.safetensors", "--text-encoder", "micro"]
    small = ["--sampling.frames", 5, "--sampling.width", 32, "--sampling.height", 32, "--sampling.steps", 5]
    fixed = [models / "prompts.txt", "--output", output, "--clips-per-prompt", 1, "--device", "cpu"]
    chosen = [] if reward is None else ["--resampling.latent-reward", models / f"reward{reward}.safetensors"]
    return main([command, *map(str, [*fixed, *own, *small, *chosen, *options])])


def contents(folder):
    rows = [json.loads(line) for line in (folder / "clips.jsonl").read_text(encoding="utf-8").splitlines()]
    return {row["id"]: (folder / row["path"]).read_bytes() for row in rows}


@pytest.fixture(scope="module")
def plain(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain") / "clips"
    assert run(models, folder, reward=None) == 0
    return contents(folder)


@pytest.mark.parametrize(
    "options", [("particles", 1), ("strength", 0), ("method", "fk", "strength", 0, "eta", 0)], ids=lambda own: " ".join(map(str, own))
)  # fmt: skip
def test_where_nothing_is_chosen_the_clips_are_the_plain_ones_bit_for_bit(models, plain, tmp_path, options):
    words = [f"--resampling.{own}" if place % 2 == 0 else own for place, own in enumerate(options)]
    assert run(models, tmp_path / "clips", *words) == 0
    assert contents(tmp_path / "clips") == plain


@pytest.mark.parametrize("method", ["rgrp", "fk"])
def test_a_run_goes_on_tells_its_cost_and_is_known_by_its_settings(models, plain, tmp_path, capsys, method):
    folder, words = tmp_path / "clips", ["--resampling.method", method, *RAW]
    assert run(models, folder, *words) == 0
    said = capsys.readouterr().out
    assert "A clip cost " in said and ("cost 4.00 runs" in said) == (method == "fk")
    whole = contents(folder)
    assert whole != plain
    (folder / "videos" / "00001_0.mp4").unlink()
    assert run(models, folder, *words, "--resampling.at-once", 2) == 0  # how many at once is no other setting
    assert run(models, folder, *words) == 0
    assert contents(folder)["00000_0"] == whole["00000_0"]
    row = json.loads((folder / "clips.jsonl").read_text(encoding="utf-8").splitlines()[0])
    count = {"rgrp": 6, "fk": 4}[method]
    assert row["model"] == f"network + {method} of {count} VQ 0.1 MQ 0.1 TA 0.8 raw 50"
    capsys.readouterr()
    assert run(models, folder, *words, "--resampling.looks", 2) == 1
    assert "resampling" in capsys.readouterr().err
    assert run(models, folder, *words, reward=4) == 1  # another reward, by its content
    assert run(models, folder, reward=None) == 1


def sampled(models, settings, batch_size, guidance_scale=3.0):
    """Latents of three clips, and what they cost."""
    backbone = tiny("wan-t2v")
    chosen = replace(backbone.sampling, frames=5, height=32, width=32, steps=6, guidance_scale=guidance_scale)
    sampler = ParticleSampler(str(models / "reward3.safetensors"), settings, "cpu", backbone)
    clips = generate(
        backbone, None, load_text_encoder("micro"), [*PROMPTS, PROMPTS[0]], [1, 2, 3], chosen, batch_size=batch_size, sampler=sampler
    )  # fmt: skip
    return torch.stack([clip.latents for clip in clips]), sampler.cost()


@pytest.mark.parametrize(
    "settings", [RGRPSettings(strength=50.0, mode="raw"), FeynmanKacSettings(strength=50.0, mode="raw")]
)
def test_a_clip_depends_on_its_seed_and_not_on_its_batch(models, settings):
    single, cost = sampled(models, settings, 1)
    together, same = sampled(models, replace(settings, at_once=3), 3)
    torch.testing.assert_close(together, single, rtol=1e-3, atol=1e-3)
    assert cost == same
    low, high = (4.0, 4.0) if isinstance(settings, FeynmanKacSettings) else (11 / 6, 21 / 6)
    assert low <= cost <= high
    assert single[0].allclose(single[2], atol=1e-2) is False


def test_it_goes_with_reward_guidance(models, tmp_path):
    guidance = ["--guidance.latent-reward", models / "reward3.safetensors", "--guidance.strength", 3]
    for name, more in (("alone", []), ("guided", guidance)):
        assert run(models, tmp_path / name, *RAW, *more) == 0
    assert contents(tmp_path / "alone") != contents(tmp_path / "guided")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--resampling.eta", 0.5], "eta is not an option of the method rgrp"),
        (["--resampling.method", "fk", "--resampling.spread", 1], "spread is not an option of the method fk"),
        (["--resampling.first-look", 0.9], "give shares above 0"),
        (["--resampling.VQ", 0, "--resampling.MQ", 0, "--resampling.TA", 0], "are all 0"),
    ],
)
def test_options_that_do_not_go_together_are_refused(models, tmp_path, capsys, options, said):
    assert run(models, tmp_path / "clips", *options) != 0
    assert said in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "clips").exists()


def test_a_search_and_another_models_reward_are_refused(models, tmp_path, capsys):
    assert run(models, tmp_path / "a", command="search") != 0
    assert "give resampling to videoalign generate" in capsys.readouterr().err.replace("\n", " ")
    other = tmp_path / "other.safetensors"
    save_latent_reward(other, random_reward(tiny("hunyuan-video")), torch.float32)
    assert run(models, tmp_path / "b", "--resampling.latent-reward", other, reward=None) == 1
    assert "other.safetensors was trained on hunyuan-video latents" in capsys.readouterr().err.replace("\n", " ")


def test_the_options_defaults_are_the_settings_own():
    assert Resampling().settings() == RGRPSettings()
    assert Resampling(method="fk").settings() == FeynmanKacSettings()
    assert Resampling().identity() is None
