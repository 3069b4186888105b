"""Run by a ComfyUI's own interpreter: what its WanImageToVideo and CLIPVisionEncode make of an image.

usage: comfyui_images.py COMFYUI_TREE FOLDER

FOLDER holds image.safetensors ("image" [1, H, W, 3] in 0..1, "noise" [1, 16, T, H / 8, W / 8]), network.safetensors (a Wan
I2V), vae.safetensors, clip.safetensors and clip.json (ComfyUI's configuration of it). Written is comfyui.safetensors with
"image_latents" and "image_embeds" as the network gets them.
"""

import json
import sys
from pathlib import Path

tree, folder = sys.argv[1], Path(sys.argv[2])
sys.path.insert(0, tree)
sys.argv = [sys.argv[0], "--cpu"]

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.clip_vision  # noqa: E402
import comfy.sd  # noqa: E402
import torch  # noqa: E402
from comfy_extras.nodes_wan import WanImageToVideo  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

given = load_file(folder / "image.safetensors")
image, noise = given["image"], given["noise"]
frames, (height, width) = 4 * (noise.shape[2] - 1) + 1, image.shape[1:3]

tower = comfy.clip_vision.ClipVisionModel(json.loads((folder / "clip.json").read_text()))
tower.model.float()
tower.load_sd(load_file(folder / "clip.safetensors"))
vae = comfy.sd.VAE(sd=load_file(folder / "vae.safetensors"), dtype=torch.float32)
vae.throw_exception_if_invalid()
network = comfy.sd.load_diffusion_model(str(folder / "network.safetensors")).model
with torch.inference_mode():
    seen = tower.encode_image(image, crop=False)
    positive = WanImageToVideo.execute(
        [[torch.zeros(1, 1, 4096), {}]], [[torch.zeros(1, 1, 4096), {}]], vae, width, height, frames, 1, image, seen
    ).result[0]
    conds = network.extra_conds(
        noise=noise, device="cpu", cross_attn=positive[0][0], latent_shapes=[noise.shape], **positive[0][1]
    )
made = {"image_latents": conds["c_concat"].cond, "image_embeds": conds["clip_fea"].cond}
save_file({name: value.contiguous().float() for name, value in made.items()}, folder / "comfyui.safetensors")
