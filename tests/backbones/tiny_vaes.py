"""Tiny VAEs with random weights that do not lose the signal, for tests."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from videoalign.backbones.vae import VAE
from videoalign.backbones.vae_loading import build_vae
from videoalign.backbones.vae_ltx2 import LTX2VAE
from videoalign.backbones.vae_ltx_video import blocks_of as described
from videoalign.backbones.vae_ltx_video import decoder_config, encoder_config
from videoalign.backbones.vae_wan import wan21_config, wan22_config


def tiny_wan21() -> VAE:
    """Base width 8, as ComfyUI 0.30 can load it."""
    return filled(build_vae("AutoencoderKLWan", wan21_config(8)))


def tiny_wan22() -> VAE:
    return filled(build_vae("AutoencoderKLWan", wan22_config(8, 16)))


def tiny_hunyuan_video() -> VAE:
    config = {
        "block_out_channels": [32] * 4, "layers_per_block": 1, "latent_channels": 16, "scaling_factor": 0.476986,
        "down_block_types": ["HunyuanVideoDownBlock3D"] * 4, "up_block_types": ["HunyuanVideoUpBlock3D"] * 4,
    }  # fmt: skip
    return filled(build_vae("AutoencoderKLHunyuanVideo", config))


def tiny_hunyuan_video15() -> VAE:
    config = {"block_out_channels": [64] * 5, "layers_per_block": 1, "scaling_factor": 1.03682}
    return filled(build_vae("AutoencoderKLHunyuanVideo15", config))


# ComfyUI's descriptions of tiny LTX-Video VAEs that have all the kinds of blocks of the three published layouts.
_COMMON = {
    "dims": 3, "in_channels": 3, "out_channels": 3, "latent_channels": 128, "norm_layer": "pixel_norm", "patch_size": 4,
    "latent_log_var": "uniform", "causal_decoder": False, "encoder_base_channels": 8, "decoder_base_channels": 8,
}  # fmt: skip
_BLOCKS_090 = [
    ["res_x", 2], ["compress_all", 1], ["res_x_y", 1], ["res_x", 1], ["compress_all", 1], ["res_x_y", 1], ["res_x", 1],
    ["compress_all", 1], ["res_x", 1], ["res_x", 2],
]  # fmt: skip
_UP = ["compress_all", {"residual": True, "multiplier": 2}]
LTX_BLOCKS = {
    "0.9.0": {**_COMMON, "blocks": _BLOCKS_090},
    "0.9.1": {
        **_COMMON, "timestep_conditioning": True, "encoder_blocks": _BLOCKS_090,
        "decoder_blocks": [
            ["res_x", {"num_layers": 1, "inject_noise": True}], _UP, ["res_x", {"num_layers": 2, "inject_noise": True}], _UP,
            ["res_x", {"num_layers": 1, "inject_noise": True}], _UP, ["res_x", {"num_layers": 1}],
        ],
    },
    "0.9.5": {
        **_COMMON, "timestep_conditioning": True,
        "encoder_blocks": [
            ["res_x", {"num_layers": 1}], ["compress_space_res", {"multiplier": 2}], ["res_x", {"num_layers": 2}],
            ["compress_time_res", {"multiplier": 2}], ["res_x", {"num_layers": 1}], ["compress_all_res", {"multiplier": 2}],
            ["res_x", {"num_layers": 1}], ["compress_all_res", {"multiplier": 2}], ["res_x", {"num_layers": 1}],
        ],
        "decoder_blocks": [
            ["res_x", {"num_layers": 1}], _UP, ["res_x", {"num_layers": 1}], _UP, ["res_x", {"num_layers": 1}], _UP,
            ["res_x", {"num_layers": 1}],
        ],
    },
}  # fmt: skip


def tiny_ltx_video(version: str = "0.9.0") -> VAE:
    blocks = LTX_BLOCKS[version]
    both = blocks.get("blocks")
    decoder = described(*blocks.get("decoder_blocks", both))[::-1]
    config = {
        **encoder_config(described(*blocks.get("encoder_blocks", both)), 8),
        **decoder_config(decoder, 64 if version != "0.9.0" else 32),
        "timestep_conditioning": "timestep_conditioning" in blocks,
        "spatial_compression_ratio": 32, "temporal_compression_ratio": 8,
    }  # fmt: skip
    config.pop("upsample_type")
    return with_statistics(filled(build_vae("AutoencoderKLLTXVideo", config)))


# The same for LTX-2, whose encoder begins with as many channels as latents have.
_LTX2_ENCODER = [
    ["res_x", {"num_layers": 1}], ["compress_space_res", {"multiplier": 1}], ["res_x", {"num_layers": 1}],
    ["compress_time_res", {"multiplier": 1}], ["res_x", {"num_layers": 1}], ["compress_all_res", {"multiplier": 1}],
    ["res_x", {"num_layers": 1}], ["compress_all_res", {"multiplier": 1}], ["res_x", {"num_layers": 1}],
]  # fmt: skip
_LTX2_COMMON = {key: value for key, value in _COMMON.items() if key != "encoder_base_channels"}
LTX2_BLOCKS = {
    "2.0": {
        **_LTX2_COMMON, "encoder_blocks": _LTX2_ENCODER,
        "decoder_blocks": [
            ["res_x", {"num_layers": 1}], _UP, ["res_x", {"num_layers": 2}], _UP, ["res_x", {"num_layers": 1}], _UP,
            ["res_x", {"num_layers": 1}],
        ],
    },
    "2.3": {
        **_LTX2_COMMON, "encoder_blocks": _LTX2_ENCODER,
        "decoder_blocks": [
            ["res_x", {"num_layers": 1}], ["compress_space", {"multiplier": 2}], ["res_x", {"num_layers": 2}],
            ["compress_time", {"multiplier": 2}], ["res_x", {"num_layers": 1}], ["compress_all", {"multiplier": 1}],
            ["res_x", {"num_layers": 1}], ["compress_all", {"multiplier": 2}], ["res_x", {"num_layers": 1}],
        ],
    },
}  # fmt: skip


def tiny_ltx2(version: str = "2.0", padding: str = "reflect") -> VAE:
    blocks, width = LTX2_BLOCKS[version], 64
    shapes = {"encoder.conv_in.conv.weight": (128, 48, 3, 3, 3), "decoder.conv_in.conv.weight": (width, 128, 3, 3, 3)}
    config = LTX2VAE.config_of(shapes, {"config": json.dumps({"vae": blocks})}) | {
        "decoder_spatial_padding_mode": padding
    }
    return with_statistics(filled(build_vae("AutoencoderKLLTX2Video", config)))


def with_statistics(vae: VAE) -> VAE:
    """An LTX VAE whose latents have means and deviations."""
    generator = torch.Generator().manual_seed(1)
    vae.module.latents_mean.copy_(torch.randn(128, generator=generator))
    vae.module.latents_std.copy_(1 + torch.rand(128, generator=generator))
    vae.mean, vae.std = vae.statistics()
    return vae


def ltx2_metadata(version: str = "2.0") -> dict[str, str]:
    """What an LTX-2 file says about its VAE."""
    return {"config": json.dumps({"vae": LTX2_BLOCKS[version]})}


def ltx_metadata(version: str = "0.9.0") -> dict[str, str]:
    """What an LTX-Video file says about its VAE; with zeros as padding, as diffusers has it."""
    return {"config": json.dumps({"vae": {**LTX_BLOCKS[version], "spatial_padding_mode": "zeros"}})}


def original_tensors(vae: VAE) -> dict[str, torch.Tensor]:
    """The weights under ComfyUI's names, each with memory of its own."""
    return {name: tensor.contiguous().clone() for name, tensor in vae.original_state_dict().items()}


def save_vae(vae: VAE, path: Path, metadata: dict[str, str] | None = None) -> Path:
    """One file as ComfyUI has it."""
    save_file(original_tensors(vae), path, metadata)
    return path


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
