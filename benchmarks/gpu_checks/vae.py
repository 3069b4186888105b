"""Wan's VAE: a clip to latents and back."""

from __future__ import annotations

import torch

from .case import Bench, Check, Outcome, parameter_bytes


def checks() -> list[Check]:
    """Both ways."""
    return [Check("Wan's VAE: 33 frames of 832x480 there and back", 30, there_and_back)]


def there_and_back(bench: Bench) -> Outcome:
    """Seconds of both, and the shapes that come out."""
    from videoalign.backbones.vae_loading import build_vae

    torch.manual_seed(0)
    config = {} if bench.real else {"base_dim": 16}
    vae = build_vae("AutoencoderKLWan", config)
    vae.module.to(bench.dtype)
    vae.to(bench.device)
    frames, height, width = (33, 480, 832) if bench.real else (5, 32, 32)
    video = torch.rand(1, 3, frames, height, width, device=bench.device)
    latents = vae.encode(video)
    encoding, up = bench.measured(lambda: vae.encode(video))
    decoding, down = bench.measured(lambda: vae.decode(latents))
    back = vae.decode(latents)
    expected = (1, *vae.latent_format.shape(frames, height, width))
    right = tuple(latents.shape) == expected and back.shape == video.shape and bool(back.isfinite().all())
    facts = {"encoding, s": encoding, "decoding, s": decoding, "weights, GB": parameter_bytes(vae.module) / 1e9}
    peak = None if up is None or down is None else max(up, down)
    wrong = "" if right else f"latents are {tuple(latents.shape)}, {expected} is right; pixels are {tuple(back.shape)}"
    return Outcome(encoding + decoding, peak, None, facts, wrong)
