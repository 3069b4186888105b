"""Run by ComfyUI's own Python: encode and decode the clips of a folder with ComfyUI's VAE classes.

usage: comfyui_vaes.py COMFYUI FOLDER.  FOLDER has <name>.safetensors (weights), <name>.clip.safetensors ("video") and
vaes.json {name: {"family": ..., "config": ...}}; <name>.comfyui.safetensors is written ("latents", "decoded").
"""

import json
import sys
from pathlib import Path

comfyui, folder = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(comfyui))
sys.argv = [sys.argv[0], "--cpu"]

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.latent_formats  # noqa: E402
import comfy.sd  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402


def build(family, config, path):
    """(ComfyUI's module with the weights, its latent format)."""
    if family == "wan2.1":  # through ComfyUI's own detection, which infers the base width
        vae = comfy.sd.VAE(sd=load_file(path))
        vae.throw_exception_if_invalid()
        return vae.first_stage_model, comfy.latent_formats.Wan21()
    if family == "wan2.2":
        from comfy.ldm.wan.vae2_2 import WanVAE

        module, form = WanVAE(**config), comfy.latent_formats.Wan22()
    elif family == "hunyuan-video":
        from comfy.ldm.models.autoencoder import AutoencoderKL

        module, form = (
            AutoencoderKL(ddconfig=config, embed_dim=config["z_channels"]),
            comfy.latent_formats.HunyuanVideo(),
        )
        # ComfyUI 0.30 cuts clips in time to save memory, and normalises each piece by itself: not what was trained.
        module.encoder.carried = module.decoder.carried = False
    elif family == "hunyuan-video-1.5":
        from comfy.ldm.models.autoencoder import AutoencodingEngine

        parts = {
            f"{part}_config": {"target": f"comfy.ldm.hunyuan_video.vae_refiner.{part.capitalize()}", "params": config}
            for part in ("encoder", "decoder")
        }
        regularizer = {"target": "comfy.ldm.models.autoencoder.EmptyRegularizer"}
        module, form = (
            AutoencodingEngine(regularizer_config=regularizer, **parts),
            comfy.latent_formats.HunyuanVideo15(),
        )
    else:
        from comfy.ldm.lightricks.vae.causal_video_autoencoder import VideoVAE

        module, form = VideoVAE(config=config), comfy.latent_formats.LTXV()
    missing, unexpected = module.load_state_dict(load_file(path), strict=False)
    missing = [name for name in missing if "temb_proj" not in name]  # built where nothing tells a time, and not run
    assert not missing and not unexpected, (family, missing, unexpected)
    return module, form


with torch.inference_mode():
    for name, entry in json.loads((folder / "vaes.json").read_text()).items():
        module, form = build(entry["family"], entry["config"], folder / f"{name}.safetensors")
        module = module.eval().float()
        latents = module.encode(load_file(folder / f"{name}.clip.safetensors")["video"])
        decoded = module.decode(latents.clone()).clamp(-1, 1)
        save_file(
            {"latents": form.process_in(latents).contiguous(), "decoded": decoded.contiguous()},
            folder / f"{name}.comfyui.safetensors",
        )
