"""The files of the next micro video model, which the recipe goes on from."""

from pathlib import Path

import numpy as np
import pytest
import torch

import videoalign.micro.video.recipe as recipe
from videoalign.backbones.loading import load_backbone
from videoalign.backbones.vae_loading import load_vae
from videoalign.backbones.wan_whole_clip import encode_whole
from videoalign.clips.pixels import as_frames, as_video
from videoalign.micro.video.clips import sample_video_clip
from videoalign.micro.video.judging import judge, judged_captions, sample_clips
from videoalign.micro.video.linear_encoder import encode_linear

BEGUN = Path(recipe.__file__).parent / "begun"
NETWORK, VAE = BEGUN / "micro_wan.safetensors", BEGUN / "micro_wan_vae.safetensors"


@pytest.fixture(scope="module")
def clips():
    drawn = (sample_video_clip(12345, index) for index in range(40))
    return [clip for clip in drawn if not clip.faults][:12]


def test_the_encoder_is_one_that_is_computed(clips):
    vae = load_vae(VAE).module
    video = as_video(np.stack([clip.frames for clip in clips[:4]]))
    # As of a new one (test_linear_encoder), in the VAE's units: these are up to 3.3 standard deviations of the latents.
    assert (encode_linear(vae, video) - encode_whole(vae, video)[0]).abs().max() < 4e-3


def test_faultless_clips_come_back(clips):
    vae = load_vae(VAE)
    errors = []
    for clip in clips:
        again = as_frames(vae.decode(vae.encode(as_video(clip.frames)[None]))[0])
        errors.append(np.mean((again.astype(float) - clip.frames) ** 2))
    assert 10 * np.log10(255**2 / np.median(errors)) > 27


def test_the_network_has_two_heads_and_says_how_to_sample_from_it():
    backbone = load_backbone(NETWORK, dtype=torch.float32)
    assert backbone.config["num_attention_heads"] == 2 and backbone.sampling.guidance_scale == 2.5


@pytest.mark.slow
def test_its_clips_show_what_the_captions_say():
    captions = judged_captions(16)
    row = judge(sample_clips(NETWORK, VAE, captions), captions)
    assert row["colour"] >= 0.9 and row["direction"] >= 0.9 and row["shape"] >= 0.6
