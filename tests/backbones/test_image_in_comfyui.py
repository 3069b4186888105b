"""What we tell an image-to-video Wan of its image is what the real ComfyUI's nodes and network make of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_backbones import save_single, tiny
from tiny_clip import PATCH, save_clip, tiny_clip
from tiny_vaes import clip, save_vae, tiny_wan21

from videoalign.backbones.image_conditioning import image_conditioning
from videoalign.backbones.image_encoder import load_image_encoder
from videoalign.backbones.vae_loading import load_vae

pytestmark = pytest.mark.comfyui


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of a tiny model, an image, and what ComfyUI makes of it."""
    folder = tmp_path_factory.mktemp("images")
    save_single(tiny("wan-i2v"), folder / "network.safetensors")
    save_vae(tiny_wan21(), folder / "vae.safetensors")
    module = tiny_clip(width=1280)
    save_clip(module, folder / "clip.safetensors")
    own = module.config
    (folder / "clip.json").write_text(
        json.dumps(
            {
                "hidden_size": own.hidden_size, "intermediate_size": own.intermediate_size, "image_size": 224,
                "num_hidden_layers": own.num_hidden_layers, "num_attention_heads": own.num_attention_heads,
                "hidden_act": "gelu", "model_type": "clip_vision_model", "num_channels": 3, "patch_size": PATCH, "projection_dim": 32,
            }
        )
    )  # fmt: skip
    levels = ((clip(1, 64, 96) + 1) * 127.5).round()[0, :, 0]
    image = (levels / 255).permute(1, 2, 0)[None].contiguous()
    save_file({"image": image, "noise": torch.randn(1, 16, 3, 8, 12)}, folder / "image.safetensors")
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    script = Path(__file__).with_name("comfyui_images.py")
    run = subprocess.run(
        [python, script, os.environ["COMFYUI_PATH"], folder], capture_output=True, text=True, timeout=900
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return folder


@pytest.mark.parametrize("entry", ["image_latents", "image_embeds"])
def test_the_entry_is_comfyuis(entry, folder):
    image = load_file(folder / "image.safetensors")["image"][0].permute(2, 0, 1) * 2 - 1
    vae, encoder = load_vae(folder / "vae.safetensors"), load_image_encoder(folder / "clip.safetensors")
    ours = image_conditioning((entry,), image, 9, vae, encoder)[entry]
    theirs = load_file(folder / "comfyui.safetensors")[entry][0]
    assert ours.shape == theirs.shape
    rounding = 1e-3 if entry == "image_embeds" else 1e-4  # a grey level that is exactly between two may go either way
    assert (ours - theirs).abs().max() < rounding * theirs.abs().max()
