"""The micro video model that comes with the pack, run by ComfyUI's own loaders, sampler and VAE nodes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from comfy_server import RefusedError
from PIL import Image
from prompts import node
from safetensors.torch import load_file

from videoalign.backbones.micro_files import MICRO_LORA, MICRO_NETWORK, MICRO_VAE
from videoalign.backbones.sampling import generate
from videoalign.clips.pixels import as_frames
from videoalign.generation.pipeline import MICRO, load_pipeline

pytestmark = pytest.mark.comfyui

CAPTION = "one red circle moves left over a plain grey ground"
SEED, STEPS = 3, 6


def core(kind: str, **inputs) -> dict:
    return {"class_type": kind, "inputs": inputs}


def prompt(caption: str = CAPTION, lora: str = "") -> dict:
    loader = (
        {"lora": core("LoraLoaderModelOnly", model=["model", 0], lora_name=lora, strength_model=1.0)} if lora else {}
    )
    return {
        **loader,
        "model": core("UNETLoader", unet_name=MICRO_NETWORK.name, weight_dtype="default"),
        "shifted": core("ModelSamplingSD3", model=["lora" if lora else "model", 0], shift=3.0),
        "positive": node("MicroCaption", caption=caption),
        "negative": node("MicroCaption", caption=""),
        "empty": core("EmptyHunyuanLatentVideo", width=64, height=64, length=17, batch_size=1),
        "sampler": core(
            "KSampler", model=["shifted", 0], positive=["positive", 0], negative=["negative", 0],
            latent_image=["empty", 0], seed=SEED, steps=STEPS, cfg=4.0, sampler_name="euler", scheduler="simple", denoise=1.0,
        ),
        "vae": core("VAELoader", vae_name=MICRO_VAE.name),
        "decoded": core("VAEDecode", samples=["sampler", 0], vae=["vae", 0]),
        "saved": core("SaveImage", images=["decoded", 0], filename_prefix="micro"),
    }  # fmt: skip


def without_vae(graph: dict) -> dict:
    """The graph with its latents saved and not its pictures."""
    kept = {name: own for name, own in graph.items() if name not in ("vae", "decoded", "saved")}
    return kept | {"saved": core("SaveLatent", samples=["sampler", 0], filename_prefix="")}


@pytest.mark.parametrize("lora", ["", MICRO_LORA.name], ids=["base", "LoRA"])
def test_comfyui_samples_the_clip_that_the_package_samples(comfyui, lora):
    prefix = f"micro_{len(lora)}"
    graph = prompt(lora=lora)
    # ComfyUI before 0.30 knows one width of the Wan 2.1 VAE only: there the network is compared, by what our VAE makes of both.
    decodes = not comfyui.version.startswith("0.3.")
    if not decodes:
        graph = without_vae(graph)
    graph["saved"]["inputs"]["filename_prefix"] = prefix
    run = comfyui.run(graph)
    assert not run.errors, run.error
    own = load_pipeline(MICRO, loras=[str(MICRO_LORA)] if lora else [], dtype=torch.float32)
    if decodes:
        pictures = sorted((comfyui.base / "output").glob(f"{prefix}_*.png"))
        theirs = np.stack([np.asarray(Image.open(picture).convert("RGB")) for picture in pictures])
    else:
        (latents,) = (comfyui.base / "output").glob(f"{prefix}_*.latent")
        with torch.no_grad():
            theirs = as_frames(own.vae.decode_raw(load_file(latents)["latent_tensor"].float())[0])
    settings = replace(own.backbone.sampling, steps=STEPS)
    (clip,) = generate(own.backbone, own.vae, own.text_encoder, [CAPTION], [SEED], settings)
    ours = as_frames(clip.video)
    assert theirs.shape == ours.shape == (17, 64, 64, 3)
    assert ours.std() > 5
    assert np.abs(theirs.astype(float) - ours).mean() < 2.0  # levels of 255; ComfyUI may compute in half precision


def test_a_word_that_the_model_does_not_know_is_refused_before_anything_runs(comfyui):
    with pytest.raises(RefusedError) as refused:
        comfyui.run(prompt("one golden circle moves left over a plain grey ground"))
    assert "golden" in str(refused.value)
