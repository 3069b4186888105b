"""Tiny VAEs with random weights that do not lose the signal, for tests."""

import torch

from videoalign.backbones.vae import VAE, build_vae
from videoalign.backbones.vae_wan import wan21_config, wan22_config


def tiny_wan21() -> VAE:
    """Base width 8, as ComfyUI 0.30 can load it."""
    return filled(build_vae("AutoencoderKLWan", wan21_config(8)))


def tiny_wan22() -> VAE:
    return filled(build_vae("AutoencoderKLWan", wan22_config(8, 16)))


def filled(vae: VAE, seed: int = 0) -> VAE:
    """Random weights scaled by fan-in; norms near one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in vae.module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.squeeze().ndim > 1:
                noise = noise / parameter[0].numel() ** 0.5
            else:
                noise = 0.1 * noise + (0 if name.endswith("bias") else 1)
            parameter.copy_(noise)
    return vae


def clip(frames: int, height: int, width: int, batch: int = 1, seed: int = 0) -> torch.Tensor:
    """A smooth random clip [B, 3, T, H, W] in -1..1."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(batch, 3, frames, height // 8, width // 8, generator=generator)
    return torch.nn.functional.interpolate(coarse, (frames, height, width), mode="trilinear").tanh()
