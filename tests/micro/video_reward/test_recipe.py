"""The recipe of the embedded reward, at a size that runs in seconds."""

import pytest
import torch

from videoalign.micro.video_reward.base_model import micro_tokenizer, new_network
from videoalign.micro.video_reward.pretraining import DESCRIPTION, describe, pretrain
from videoalign.micro.video_reward.recipe import Recipe, make_reward
from videoalign.micro_world import VOCABULARY, Fault, iterate_clips, make_clip, sample_scene
from videoalign.reward.loading import load_video_reward

TINY = Recipe(
    vision_steps=2,
    vision_batch=2,
    pretrain_steps=3,
    pretrain_batch=2,
    watch_steps=2,
    watch_batch=2,
    prompts=2,
    clips_per_prompt=2,
    generated_prompts=1,
    held_out_pairs=2,
    steps=2,
    batch_size=2,
)


def test_the_recipe_makes_a_reward_that_loads_and_scores(tmp_path):
    from videoalign.micro_world import read_video

    file = make_reward(tmp_path, TINY)
    model = load_video_reward(file, device="cpu")
    assert model.dtype == torch.float32
    clip = sorted((tmp_path / "held_out" / "videos").iterdir())[0]
    assert read_video(clip)[0].shape == (17, 64, 64, 3)
    scores = model.score([clip], ["one red circle moves left over a plain grey ground"])[0]
    assert scores.Overall == pytest.approx(scores.VQ + scores.MQ + scores.TA)
    assert len(scores.frame_indices) == 16 and scores.size == (56, 56)


def test_every_word_of_the_micro_world_is_one_token_and_other_text_still_works():
    tokenizer = micro_tokenizer("micro")
    for word in VOCABULARY:
        assert len(tokenizer.encode(f" {word}", add_special_tokens=False).ids) == 1, word
    text = " naïve 猫 {braces}"
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == text


def test_the_network_is_the_same_for_the_same_seed_and_small():
    tokenizer = micro_tokenizer("micro")
    first, second = new_network(tokenizer, 5), new_network(tokenizer, 5)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert sum(parameter.numel() for parameter in first.parameters()) < 4_000_000


def test_a_description_tells_what_is_shown_and_not_what_was_asked_for():
    import numpy as np

    clip = next(clip for clip in iterate_clips(3) if clip.quality["TA"] < 0)
    assert clip.caption not in describe(clip)
    rng = np.random.default_rng(0)
    scene = sample_scene(rng)
    spoilt = make_clip(rng, scene, [Fault("noise", 0.9), Fault("freeze", 0.2)])
    assert describe(spoilt).endswith(": weak freeze, strong noise")
    assert describe(make_clip(rng, scene)).endswith(": no fault")


def test_pretraining_lowers_the_loss():
    from videoalign.reward.reward_tokenizer import RewardTokenizer
    from videoalign.reward.settings import FrameSampling

    tokenizer = micro_tokenizer("micro")
    bound = RewardTokenizer(tokenizer, DESCRIPTION)
    sampling = FrameSampling(fps=8.0, min_pixels=3136, max_pixels=3136)
    losses = [parts["text"] for parts in pretrain(new_network(tokenizer, 0), bound, sampling, 12, 4, 2e-3, seed=1)]
    assert sum(losses[-3:]) < 0.7 * sum(losses[:3])


def test_watching_lowers_what_is_asked_of_motion_and_faults():
    from videoalign.micro.video_reward.watching import pretrain_watching
    from videoalign.reward.reward_tokenizer import RewardTokenizer
    from videoalign.reward.settings import FrameSampling

    tokenizer = micro_tokenizer("micro")
    bound = RewardTokenizer(tokenizer, DESCRIPTION)
    sampling = FrameSampling(fps=8.0, min_pixels=3136, max_pixels=3136)
    found = list(pretrain_watching(new_network(tokenizer, 0), bound, sampling, 12, 4, 2e-3, seed=1))
    for name in ("motion", "faults"):
        assert sum(parts[name] for parts in found[-3:]) < 0.7 * sum(parts[name] for parts in found[:3])
