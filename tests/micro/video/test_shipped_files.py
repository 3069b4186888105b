"""The two files that are shipped: a VAE and a DiT that ComfyUI and this package load."""

import numpy as np
import pytest
import torch
from safetensors import safe_open

from videoalign.backbones.loading import load_backbone
from videoalign.backbones.micro_files import MICRO_NETWORK, MICRO_VAE
from videoalign.backbones.vae_loading import load_vae
from videoalign.clips.pixels import as_frames, as_video
from videoalign.micro.video.clips import sample_video_clip
from videoalign.micro.video.encoding import encode_clips
from videoalign.micro.video.judging import judge, judged_captions, sample_clips
from videoalign.micro_world import measure

UNSEEN = 12345  # a seed that no training clip has


@pytest.fixture(scope="module")
def clips():
    return [sample_video_clip(UNSEEN, i) for i in range(16)]


@pytest.fixture(scope="module")
def decoded(clips):
    vae = load_vae(MICRO_VAE)
    return [as_frames(vae.decode(vae.encode(as_video(clip.frames)[None]))[0]) for clip in clips]


def contents(path):
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


@pytest.mark.parametrize("path", [MICRO_VAE, MICRO_NETWORK], ids=lambda path: path.name)
def test_they_are_small_and_in_half_precision(path):
    tensors, metadata = contents(path)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    assert "micro world" in metadata["description"]
    assert path.stat().st_size < 8e6


def test_they_have_what_comfyui_s_detection_looks_for():
    dit, _ = contents(MICRO_NETWORK)
    assert dit["head.modulation"].shape == (1, 2, 128)  # one head of 128
    assert dit["text_embedding.0.weight"].shape[1] == 4096 and dit["patch_embedding.weight"].shape[1:] == (16, 1, 2, 2)
    vae, _ = contents(MICRO_VAE)
    assert "decoder.middle.0.residual.0.gamma" in vae and vae["conv2.weight"].shape == (16, 16, 1, 1, 1)
    assert vae["decoder.head.0.gamma"].shape[0] == vae["encoder.conv1.weight"].shape[0]  # the base width


def test_the_dit_says_how_to_sample_from_it():
    backbone = load_backbone(MICRO_NETWORK)
    assert backbone.name == "wan" and backbone.latent_format.name == "wan2.1"
    chosen = backbone.sampling
    assert (chosen.width, chosen.height, chosen.frames, chosen.fps) == (64, 64, 17, 8)


def test_latents_have_the_scale_that_the_sampler_expects(clips):
    latents = encode_clips(load_vae(MICRO_VAE), np.stack([clip.frames for clip in clips]))
    assert latents.shape == (16, 16, 5, 8, 8)
    assert latents.mean(dim=(0, 2, 3, 4)).abs().max() < 0.6  # of 16 clips: their grounds differ
    assert 0.8 < latents.std() < 1.2


def test_clips_come_back_from_the_vae(clips, decoded):
    faultless = [i for i, clip in enumerate(clips) if clip.quality["VQ"] == 0]
    errors = [np.mean((decoded[i].astype(float) - clips[i].frames) ** 2) for i in faultless]
    assert len(faultless) >= 4
    assert 10 * np.log10(255**2 / np.median(errors)) > 24


def test_what_is_shown_and_how_it_moves_survives_the_vae(clips, decoded):
    measured = [measure(frames, clip.caption) for frames, clip in zip(decoded, clips, strict=True)]
    calm = [i for i, clip in enumerate(clips) if clip.quality["MQ"] == 0]
    for name, least in (("colour", 0.8), ("direction", 0.8), ("count", 0.7)):
        right = [getattr(measured[i], name) == getattr(clips[i].scene, name) for i in calm]
        assert np.mean(right) >= least, name


def test_samples_show_the_captions_colour_and_direction():
    captions = judged_captions(8)
    row = judge(sample_clips(MICRO_NETWORK, MICRO_VAE, captions), captions)
    assert row["with_shape"] >= 0.85
    assert row["colour"] >= 0.6 and row["direction"] >= 0.6
