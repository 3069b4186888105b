"""The recipe of the embedded latent reward, shrunk to seconds, on a tiny model with random weights."""

import json

import pytest
import torch
from safetensors.torch import load_file
from tiny_backbones import save_single, tiny
from tiny_vaes import tiny_wan21

from videoalign.backbones.micro_text import encode_caption
from videoalign.micro.latent_reward.recipe import Recipe, make_latent_rewards
from videoalign.reward.latent.reward_file import load_latent_reward


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a finished small run."""
    folder = tmp_path_factory.mktemp("micro")
    tiny_wan21().module.save_pretrained(folder / "vae")
    recipe = Recipe(
        dit=save_single(tiny("wan-t2v"), folder / "dit.safetensors"),
        vae=folder / "vae",
        blocks=1, head_width=8, see_steps=2, clean_see_steps=2, see_batch=4, prompts=3, clips_per_prompt=3, held_out_prompts=2, held_out_clips=2,
        generated_prompts=1, held_out_generated=1, steps=2, batch_size=4,
    )  # fmt: skip
    return folder, recipe, list(make_latent_rewards(folder, recipe))


def test_it_makes_a_latent_reward_that_saw_noise_and_one_that_did_not(made):
    _, _, files = made
    rewards = [load_latent_reward(file) for file in files]
    assert [reward.record.clean_latents for reward in rewards] == [False, True]
    for reward in rewards:
        assert len(reward.trunk.blocks) == 1 and reward.record.text_encoder == "micro-text-1"
        assert reward.record.pairs == 15 and reward.record.held_out == 8 and reward.record.steps == 2
        text = encode_caption("one red circle moves left over a plain grey ground")[None]
        assert reward.rewards(torch.randn(1, 16, 5, 8, 8), torch.tensor([0.5]), {"text": text}).isfinite().all()


def test_what_is_there_is_not_made_again(made):
    folder, recipe, files = made
    times = [file.stat().st_mtime_ns for file in files]
    assert list(make_latent_rewards(folder, recipe)) == files
    assert [file.stat().st_mtime_ns for file in files] == times


def test_weights_are_stored_in_half_precision(made):
    assert {tensor.dtype for tensor in load_file(made[2][0]).values()} == {torch.float16}


def test_pairs_of_a_prompt_were_trained_together(made):
    folder, _, _ = made
    lines = [json.loads(line) for line in (folder / "noisy" / "log.jsonl").read_text().splitlines()]
    assert {line["kind"] for line in lines} == {"train", "eval"}
