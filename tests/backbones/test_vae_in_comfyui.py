"""Our latents and clips against the real ComfyUI's, at tiny size, from one file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_vaes import (
    LTX2_BLOCKS,
    LTX_BLOCKS,
    clip,
    tiny_hunyuan_video,
    tiny_hunyuan_video15,
    tiny_ltx2,
    tiny_ltx_video,
    tiny_wan21,
    tiny_wan22,
)

from videoalign.backbones.vae_loading import load_vae

pytestmark = pytest.mark.comfyui

WAN22 = {"dim": 8, "dec_dim": 16, "z_dim": 48, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_scales": [],
         "temperal_downsample": [False, True, True], "dropout": 0.0}  # fmt: skip
HUNYUAN = {"double_z": True, "z_channels": 16, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 32,
           "ch_mult": [1, 1, 1, 1], "num_res_blocks": 1, "attn_resolutions": [], "dropout": 0.0, "conv3d": True,
           "time_compress": 4}  # fmt: skip
HUNYUAN15 = {"block_out_channels": [64] * 5, "in_channels": 3, "out_channels": 3, "num_res_blocks": 1, "ffactor_spatial": 16,
             "ffactor_temporal": 4, "downsample_match_channel": True, "upsample_match_channel": True, "z_channels": 32}  # fmt: skip
LTX = [*(f"ltx{version}" for version in LTX_BLOCKS), *(f"ltx-{version}" for version in LTX2_BLOCKS)]


def cases():
    """name -> (our VAE, ComfyUI's family and configuration, clip)."""
    found = {
        "wan21": (tiny_wan21(), {"family": "wan2.1", "config": None}, clip(9, 16, 24)),
        "wan22": (tiny_wan22(), {"family": "wan2.2", "config": WAN22}, clip(9, 32, 48)),
        "hunyuan_image": (tiny_hunyuan_video(), {"family": "hunyuan-video", "config": HUNYUAN}, clip(1, 32, 48)),
        "hunyuan_clip": (tiny_hunyuan_video(), {"family": "hunyuan-video", "config": HUNYUAN}, clip(9, 16, 24)),
    }
    for name, frames in (("image", 1), ("clip", 13)):
        entry = {"family": "hunyuan-video-1.5", "config": HUNYUAN15}
        found[f"hunyuan15_{name}"] = (tiny_hunyuan_video15(), entry, clip(frames, 32, 48))
    for version, blocks in LTX_BLOCKS.items():
        found[f"ltx{version}"] = (tiny_ltx_video(version), {"family": "ltxv", "config": blocks}, clip(9, 64, 96))
    for version, blocks in LTX2_BLOCKS.items():
        found[f"ltx-{version}"] = (tiny_ltx2(version), {"family": "ltxv", "config": blocks}, clip(17, 64, 96))
    return found


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """For each case: our VAE loaded from the file that ComfyUI read, the clip, and ComfyUI's latents and clip."""
    folder, described, kept = tmp_path_factory.mktemp("vaes"), {}, {}
    for name, (vae, entry, video) in cases().items():
        metadata = {"config": json.dumps({"vae": entry["config"]})} if entry["family"] == "ltxv" else None
        state = {key: tensor.contiguous() for key, tensor in vae.original_state_dict().items()}
        save_file(state, folder / f"{name}.safetensors", metadata)
        save_file({"video": video}, folder / f"{name}.clip.safetensors")
        described[name], kept[name] = entry, video
    (folder / "vaes.json").write_text(json.dumps(described))
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    script = Path(__file__).with_name("comfyui_vaes.py")
    run = subprocess.run(
        [python, script, os.environ["COMFYUI_PATH"], folder], capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return {
        name: (load_vae(folder / f"{name}.safetensors"), video, load_file(folder / f"{name}.comfyui.safetensors"))
        for name, video in kept.items()
    }


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("name", ["wan21", "wan22", "hunyuan_image", "hunyuan15_image", *LTX])
def test_latents_are_those_that_comfyuis_sampler_sees(results, name):
    vae, video, theirs = results[name]
    assert relative(vae.encode(video), theirs["latents"]) < (1e-5 if name.startswith("hunyuan15") else 1e-4)


@pytest.mark.parametrize(
    "name", ["wan21", "wan22", "hunyuan_image", "hunyuan15_image", "ltx0.9.0", "ltx-2.0", "ltx-2.3"]
)
def test_clips_are_those_that_comfyui_decodes(results, name):
    vae, _, theirs = results[name]
    assert relative(vae.decode(theirs["latents"]), theirs["decoded"]) < (1e-5 if name.startswith("hunyuan15") else 1e-4)


def test_hunyuan_videos_uncut_clips_differ_from_comfyuis_by_the_causal_mask_alone(results, monkeypatch):
    from diffusers.models.autoencoders import autoencoder_kl_hunyuan_video as diffusers_module

    vae, video, theirs = results["hunyuan_clip"]
    assert relative(vae.encode(video), theirs["latents"]) > 1e-4
    monkeypatch.setattr(diffusers_module, "prepare_causal_attention_mask", lambda *args, **kwargs: None)
    assert relative(vae.encode(video), theirs["latents"]) < 1e-4
    assert relative(vae.decode(theirs["latents"]), theirs["decoded"]) < 1e-4


def test_hunyuan_video_15s_clips_differ_from_comfyuis_by_causality_alone(results, monkeypatch):
    from videoalign.backbones.vae_hunyuan_video15 import FrameAttention

    vae, video, theirs = results["hunyuan15_clip"]
    assert relative(vae.encode(video), theirs["latents"]) > 1e-4
    monkeypatch.setattr(FrameAttention, "causal", False)
    # The same layers in the same order: sums of up to 27 * 64 products, each off by 2^-24 sqrt(1728) = 2.5e-6 of their size.
    assert relative(vae.encode(video), theirs["latents"]) < 1e-5
    assert relative(vae.decode(theirs["latents"]), theirs["decoded"]) < 1e-5


def test_hunyuan_video_15s_attention_is_diffusers(results):
    from diffusers import AutoencoderKLHunyuanVideo15

    vae, video, _ = results["hunyuan15_clip"]
    theirs = AutoencoderKLHunyuanVideo15.from_config(dict(vae.module.config)).eval()
    theirs.load_state_dict(vae.module.state_dict())
    with torch.no_grad():
        latents = theirs.encode(video).latent_dist.mode() * 1.03682
    assert relative(vae.encode(video), latents) < 1e-5
