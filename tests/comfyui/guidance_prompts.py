"""A guided graph in ComfyUI's API form, and the tiny files that it needs."""

from __future__ import annotations

from pathlib import Path

import torch
from prompts import node, show
from tiny_backbones import save_single, tiny

from videoalign.backbones.backbone import Backbone
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.latent.calibration import Calibration, even_edges
from videoalign.reward.latent.heads import HeadConfig
from videoalign.reward.latent.latent_reward import LatentReward
from videoalign.reward.latent.reward_file import save_latent_reward

MODEL, REWARD = "tiny_wan.safetensors", "tiny_latent_reward.safetensors"


def random_reward(trunk: Backbone) -> LatentReward:
    """Random heads; what they were measured to be is as invented as they are."""
    torch.manual_seed(4)
    calibration = Calibration(
        even_edges(2),
        accuracy=dict.fromkeys(DIMENSIONS, (0.8, 0.8)),
        pairs=dict.fromkeys(DIMENSIONS, (10, 10)),
        gradient_scale=dict.fromkeys(DIMENSIONS, (0.5, 0.5)),
        mean=dict.fromkeys(DIMENSIONS, 0.0),
        std=dict.fromkeys(DIMENSIONS, 1.0),
    )
    return LatentReward(trunk, HeadConfig(), calibration).requires_grad_(False).eval()


def make_guidance_files(base: Path) -> None:
    """A tiny Wan and a latent reward for it in a server's model folders."""
    for folder in ("diffusion_models", "latent_reward_models"):
        (base / "models" / folder).mkdir(parents=True, exist_ok=True)
    save_single(tiny("wan-t2v"), base / "models" / "diffusion_models" / MODEL)
    save_latent_reward(
        base / "models" / "latent_reward_models" / REWARD, random_reward(tiny("wan-t2v", seed=3)), torch.float32
    )


def guided_graph(seed: int = 1, **guidance) -> dict:
    """Four steps of a guided tiny Wan, and its trace."""
    settings = {
        "VQ": 0.2, "MQ": 0.5, "TA": 0.3, "strength_mode": "unit-free", "strength": 1.0, "start_percent": 0.0,
        "end_percent": 1.0, "cap": 0.5, "every": 1,
    }  # fmt: skip
    return {
        "unet": {"class_type": "UNETLoader", "inputs": {"unet_name": MODEL, "weight_dtype": "default"}},
        "reward": node("LoadLatentReward", model=REWARD, dtype="float32", device="default"),
        "text": node("TestText", seed=1),
        "latent": {
            "class_type": "EmptyHunyuanLatentVideo",
            "inputs": {"width": 64, "height": 64, "length": 9, "batch_size": 1},
        },
        "guide": node("RewardGuidance", model=["unet", 0], latent_reward=["reward", 0], **settings | guidance),
        "sampler": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["guide", 0], "positive": ["text", 0], "negative": ["text", 0], "latent_image": ["latent", 0], "seed": seed,
                "steps": 4, "cfg": 1.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0,
            },
        },
        "trace": node("RewardTrace", trace=["guide", 2], samples=["sampler", 0]),
        "show_latent": show("trace", 0),
        "show_curve": show("trace", 1),
        "show_data": show("trace", 2),
    }  # fmt: skip
