"""*Search Seeds* on the micro model, in ComfyUI's API form."""

from __future__ import annotations

from prompts import node

from videoalign.backbones.micro_files import MICRO_NETWORK, MICRO_VAE

CAPTION = "one blue square moves right over a plain grey ground"
STEPS, FRAMES = 6, 9


def core(kind: str, **inputs) -> dict:
    return {"class_type": kind, "inputs": inputs}


def micro_model() -> dict:
    """Loaders, conditionings and an empty latent."""
    return {
        "unet": core("UNETLoader", unet_name=MICRO_NETWORK.name, weight_dtype="default"),
        "model": core("ModelSamplingSD3", model=["unet", 0], shift=3.0),
        "positive": node("MicroCaption", caption=CAPTION),
        "negative": node("MicroCaption", caption=""),
        "latent": core("EmptyHunyuanLatentVideo", width=64, height=64, length=FRAMES, batch_size=1),
        "vae": core("VAELoader", vae_name=MICRO_VAE.name),
        "reward": node("LoadVideoReward", model="micro VideoReward (embedded)", dtype="auto", device="default"),
    }


def search_node(**settings) -> dict:
    """The node, wired to these."""
    about = {
        "model": ["model", 0], "positive": ["positive", 0], "negative": ["negative", 0], "latent_image": ["latent", 0], "vae": ["vae", 0],
        "judge": ["reward", 0], "caption": CAPTION, "first_seed": 11, "seeds": 3, "steps": STEPS, "cfg": 4.0, "sampler_name": "euler",
        "scheduler": "simple", "denoise": 1.0, "look_after": 2, "keep": 1, "mode": "replay", "fps": 8.0, "preview_frames": 0,
        "more_looks": "", "stop_when": "", "budget": 0, "keep_seeds": "", "exclude_seeds": "", "use_this": "", "switch_step": 0,
    }  # fmt: skip
    return node("SearchSeeds", **about | settings)


def ksampler(seed: int) -> dict:
    """The plain sampler with the same wires."""
    return core(
        "KSampler", model=["model", 0], positive=["positive", 0], negative=["negative", 0], latent_image=["latent", 0],
        seed=seed, steps=STEPS, cfg=4.0, sampler_name="euler", scheduler="simple", denoise=1.0,
    )  # fmt: skip
