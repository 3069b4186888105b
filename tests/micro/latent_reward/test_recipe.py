"""The recipe of the embedded latent reward, shrunk to seconds, on a tiny model with random weights."""

import json

import pytest
import torch
from safetensors.torch import load_file
from tiny_backbones import save_single, tiny
from tiny_vaes import tiny_wan21

from videoalign.backbones.flow_path import seeded_noise
from videoalign.backbones.micro_text import encode_caption
from videoalign.micro.latent_reward.own_samples import load_own_samples
from videoalign.micro.latent_reward.recipe import Recipe, make_latent_rewards
from videoalign.reward.latent.reward_file import load_latent_reward

pytestmark = pytest.mark.slow  # a minute; run it when the recipe is changed


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
        own_prompts=1, own_seeds=3, held_out_own=1, held_out_own_clips=2, ranking_prompts=2, ranking_generated=1, ranking_held_out=1,
        ranking_held_out_generated=1, ranking_steps=2,
    )  # fmt: skip
    return folder, recipe, list(make_latent_rewards(folder, recipe))


def test_it_makes_a_latent_reward_that_saw_noise_and_one_that_did_not(made):
    _, _, files = made
    rewards = [load_latent_reward(file) for file in files]
    assert [reward.record.clean_latents for reward in rewards] == [False, True]
    assert [reward.head_config.kind for reward in rewards] == ["query", "motion"]
    # own 3, drawn 2 x 3, generated 6; held out 1, 1, 6. The ablation: 3 x 3 drawn, 6 generated; 2 x 1, 6.
    assert [(reward.record.pairs, reward.record.held_out) for reward in rewards] == [(15, 8), (15, 8)]
    for reward in rewards:
        assert len(reward.trunk.blocks) == 1 and reward.record.text_encoder == "micro-text-1"
        assert reward.record.steps == 2
        text = encode_caption("one red circle moves left over a plain grey ground")[None]
        assert reward.rewards(torch.randn(1, 16, 5, 8, 8), torch.tensor([0.5]), {"text": text}).isfinite().all()


def test_what_is_there_is_not_made_again(made):
    folder, recipe, files = made
    times = [file.stat().st_mtime_ns for file in files]
    assert list(make_latent_rewards(folder, recipe)) == files
    assert [file.stat().st_mtime_ns for file in files] == times


def test_own_samples_are_of_prompts_that_are_not_held_out_and_keep_the_sampler_s_latents(made):
    folder, _, _ = made
    (own,), (held_out,) = ([load_own_samples(file) for file in sorted((folder / name).glob("0*.safetensors"))] for name in ("own", "held_out_own"))  # fmt: skip
    assert own.prompt != held_out.prompt and not set(own.seeds) & set(held_out.seeds)
    assert own.x.shape == (3, len(own.levels), 16, 5, 8, 8) and own.levels[0] == 1 and own.levels[-1] == 0
    noise = seeded_noise(own.seeds, (16, 5, 8, 8))
    assert torch.allclose(own.x[:, 0], noise, atol=2e-3)  # float16 has 11 bits; noise stays below 5
    # The last step ends where it foresaw to end; latents are float16 here too, and the step divides by its level.
    assert torch.allclose(own.foreseen(len(own.levels) - 1), own.x[:, -1], atol=2e-2)
    pairs = [json.loads(line) for line in (folder / "own" / "pairs.jsonl").read_text().splitlines()]
    for pair in pairs:
        numbers = [int(pair[side].removesuffix(".mp4")[-1]) for side in ("chosen", "rejected")]
        marks = own.measured[numbers]
        assert pair["scores_chosen"]["MQ"] == pytest.approx(marks[0, 1].item(), abs=1e-6)
        lead = (marks[0] - marks[1])[1].item()
        assert pair["labels"]["MQ"] == ("same" if abs(lead) < 0.05 else "A" if lead > 0 else "B")


def test_weights_are_stored_in_half_precision(made):
    assert {tensor.dtype for tensor in load_file(made[2][0]).values()} == {torch.float16}


def test_pairs_of_a_prompt_were_trained_together(made):
    folder, _, _ = made
    lines = [json.loads(line) for line in (folder / "noisy" / "log.jsonl").read_text().splitlines()]
    assert {line["kind"] for line in lines} == {"train", "eval"}
