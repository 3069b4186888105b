"""The latent reward that is shipped: it judges noisy latents of clips that it has never seen as the truth does."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from videoalign.backbones.micro_files import MICRO_VAE
from videoalign.backbones.micro_text import encode_caption
from videoalign.backbones.vae_loading import load_vae
from videoalign.micro.video.encoding import encode_clips
from videoalign.micro.video.flow_training import text_batch
from videoalign.micro_world import iterate_pairs
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.latent.reward_file import load_latent_reward
from videoalign.reward.settings import EMBEDDED_LATENT_FILE

PAIRS, CLEAR, SIGMA = 80, 0.4, 0.4


@pytest.fixture(scope="module")
def judged():
    """True and judged differences of fresh pairs, [pairs, 3] each; both clips of a pair have the same noise."""
    reward, vae = load_latent_reward(EMBEDDED_LATENT_FILE), load_vae(MICRO_VAE)
    pairs = [pair for pair, _ in zip(iterate_pairs(seed=77_002), range(PAIRS), strict=False)]
    noise = torch.randn(PAIRS, 16, 5, 8, 8, generator=torch.Generator().manual_seed(5))
    text = text_batch([pair.prompt for pair in pairs])
    values = []
    with torch.no_grad():
        for side in ("a", "b"):
            latents = encode_clips(vae, np.stack([getattr(pair, side).frames for pair in pairs]))
            values.append(
                reward.rewards((1 - SIGMA) * latents + SIGMA * noise, torch.full((PAIRS,), SIGMA), {"text": text})
            )
    truth = [[pair.a.quality[name] - pair.b.quality[name] for name in DIMENSIONS] for pair in pairs]
    return np.array(truth), (values[0] - values[1]).numpy()


@pytest.mark.long
@pytest.mark.parametrize(("dimension", "least"), [("VQ", 0.85), ("MQ", 0.65), ("TA", 0.75)])
def test_it_ranks_clear_pairs_under_noise_as_the_truth_does(judged, dimension, least):
    truth, found = (values[:, DIMENSIONS.index(dimension)] for values in judged)
    clear = np.abs(truth) >= CLEAR
    assert clear.sum() >= 20
    assert (np.sign(truth[clear]) == np.sign(found[clear])).mean() >= least


def test_what_the_file_says_of_itself():
    reward = load_latent_reward(EMBEDDED_LATENT_FILE)
    assert not reward.record.clean_latents and reward.record.text_encoder == "micro-text-1"
    assert reward.record.vae == load_vae(MICRO_VAE).identity
    assert all(reward.calibration.gradient_rms(name, 0.5, 16 * 5 * 8 * 8) > 0 for name in DIMENSIONS)
    assert EMBEDDED_LATENT_FILE.stat().st_size < 5e6
    assert {tensor.dtype for tensor in load_file(EMBEDDED_LATENT_FILE).values()} == {torch.float16}


def test_another_caption_lowers_text_alignment_alone():
    """The clip shows what it says; the same clip under a caption of another colour, direction and number."""
    pair = next(pair for pair in iterate_pairs(seed=77_003) if pair.a.quality["TA"] == 0 == pair.a.quality["VQ"])
    latents = encode_clips(load_vae(MICRO_VAE), pair.a.frames[None])
    said = pair.prompt.split()
    other = [{"one": "two", "two": "three", "three": "two"}.get(said[0], said[0])]
    other.append("red" if said[1] == "blue" else "blue")
    wrong = " ".join([*other, *said[2:]])
    reward = load_latent_reward(EMBEDDED_LATENT_FILE)
    with torch.no_grad():
        right, mistaken = (
            reward.rewards(latents, torch.tensor([0.1]), {"text": encode_caption(text)[None]})[0]
            for text in (pair.prompt, wrong)
        )
    change = right - mistaken
    assert change[2] > 1.0
    assert change[2] > 2 * change[:2].abs().max()
