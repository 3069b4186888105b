"""The VAEs of Wan 2.1 (16 channels, stride 8) and Wan 2.2 (48 channels, stride 16), of any base width."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from .latent_format import LatentFormat
from .vae import VAE
from .wan_family import WAN21, WAN22
from .wan_whole_clip import decode_whole, encode_whole

# Statistics of the raw latents, published with the models.
WAN21_MEAN = (
    -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
    0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
)  # fmt: skip
WAN21_STD = (
    2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
    3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
)  # fmt: skip
WAN22_MEAN = (
    -0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557,
    -0.1382, 0.0542, 0.2813, 0.0891, 0.1570, -0.0098, 0.0375, -0.1825,
    -0.2246, -0.1207, -0.0698, 0.5109, 0.2665, -0.2108, -0.2158, 0.2502,
    -0.2055, -0.0322, 0.1109, 0.1567, -0.0729, 0.0899, -0.2799, -0.1230,
    -0.0313, -0.1649, 0.0117, 0.0723, -0.2839, -0.2083, -0.0520, 0.3748,
    0.0152, 0.1957, 0.1433, -0.2944, 0.3573, -0.0548, -0.1681, -0.0667,
)  # fmt: skip
WAN22_STD = (
    0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013,
    0.8158, 1.0344, 0.5894, 1.0901, 0.6885, 0.6165, 0.8454, 0.4978,
    0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659,
    0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093,
    0.5709, 0.6065, 0.6415, 0.4944, 0.5726, 1.2042, 0.5458, 1.6887,
    0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744,
)  # fmt: skip

WHOLE_CLIP_BYTES = 2**24
"""Clips whose full-size activations (a layer's) are smaller than this are run at once, not four frames at a time."""

_LAYERS = {
    "norm1": "residual.0", "conv1": "residual.2", "norm2": "residual.3", "conv2": "residual.6",
    "conv_shortcut": "shortcut",
}  # fmt: skip
_ENDS = {"conv_in": "conv1", "norm_out": "head.0", "conv_out": "head.2"}
_MIDDLE = {"resnets.0": "middle.0", "attentions.0": "middle.1", "resnets.1": "middle.2"}
_QUANT = {"quant_conv": "conv1", "post_quant_conv": "conv2"}
_SAMPLERS = ("downsampler", "upsampler", "upsamplers.0")


def wan21_config(base_dim: int = 96, decoder_base_dim: int | None = None) -> dict:
    """diffusers configuration of a Wan 2.1 VAE. ComfyUI 0.30 reads any base width; 0.3.64 only 96."""
    return {
        "base_dim": base_dim, "decoder_base_dim": decoder_base_dim or base_dim, "z_dim": 16,
        "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_scales": [],
        "temperal_downsample": [False, True, True], "dropout": 0.0,
        "latents_mean": list(WAN21_MEAN), "latents_std": list(WAN21_STD),
    }  # fmt: skip


def wan22_config(base_dim: int = 160, decoder_base_dim: int = 256) -> dict:
    """diffusers configuration of a Wan 2.2 VAE (48 channels); ComfyUI reads the default widths only."""
    return {
        **wan21_config(base_dim, decoder_base_dim), "z_dim": 48,
        "in_channels": 12, "out_channels": 12, "is_residual": True, "patch_size": 2,
        "scale_factor_spatial": 16, "scale_factor_temporal": 4,
        "latents_mean": list(WAN22_MEAN), "latents_std": list(WAN22_STD),
    }  # fmt: skip


class WanVAE(VAE):
    """The VAE of Wan 2.1 or 2.2; which of the two, its configuration tells."""

    diffusers_class = "AutoencoderKLWan"
    title = "Wan 2.1, Wan 2.2"

    @staticmethod
    def recognises(shapes: dict[str, tuple[int, ...]]) -> bool:
        """Norms of Wan's VAEs have a gamma."""
        return "decoder.middle.0.residual.0.gamma" in shapes and "decoder.head.0.gamma" in shapes

    @staticmethod
    def config_of(shapes: dict[str, tuple[int, ...]], metadata: dict[str, str]) -> dict:
        """Base widths, and which of the two it is."""
        widths = shapes["encoder.conv1.weight"][0], shapes["decoder.head.0.gamma"][0]
        newer = "decoder.upsamples.0.upsamples.0.residual.2.weight" in shapes
        return (wan22_config if newer else wan21_config)(*widths)

    @staticmethod
    def format_of(config: dict) -> LatentFormat:
        """Wan 2.2's is residual."""
        return WAN22 if config.get("is_residual") else WAN21

    def statistics(self) -> tuple[Tensor, Tensor]:
        """The published ones, which are in the configuration."""
        config = self.module.config
        return torch.tensor(config.latents_mean), torch.tensor(config.latents_std)

    def encode_raw(self, video: Tensor) -> Tensor:
        """Small clips are run at once, with the same result."""
        batch, _, frames, height, width = video.shape
        if self._runs_at_once(batch * frames * height * width):
            return encode_whole(self.module, video)[0]
        return super().encode_raw(video)

    def decode_raw(self, latents: Tensor) -> Tensor:
        """Small clips are run at once, with the same result."""
        batch, _, frames, height, width = latents.shape
        if self._runs_at_once(batch * (4 * frames - 3) * height * width * 64):
            return decode_whole(self.module, latents)
        return super().decode_raw(latents)

    def _runs_at_once(self, pixels: int) -> bool:
        config = self.module.config
        simple = not config.is_residual and not self.tiling and self.dtype == torch.float32
        return simple and pixels * config.base_dim * self.dtype.itemsize < WHOLE_CLIP_BYTES

    @classmethod
    def original_names(cls, module: nn.Module) -> dict[str, str]:
        """Original name of each of diffusers' tensors."""
        config = module.config
        return {name: _original_name(name, config.num_res_blocks, config.is_residual) for name in module.state_dict()}


def _original_name(name: str, resnets: int, nested: bool) -> str:
    """``nested``: Wan 2.2 keeps a list of layers in each block, Wan 2.1 one flat list."""
    stem, _, kind = name.rpartition(".")
    if stem in _QUANT:
        return f"{_QUANT[stem]}.{kind}"
    part, _, stem = stem.partition(".")
    if stem in _ENDS:
        return f"{part}.{_ENDS[stem]}.{kind}"
    if stem.startswith("mid_block."):
        _, block, index, layer = stem.split(".", 3)
        return f"{part}.{_MIDDLE[f'{block}.{index}']}.{_LAYERS.get(layer, layer)}.{kind}"
    way, index, inner = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(.+)", stem).groups()
    block = f"{part}.{way}samples"
    if way == "down" and not nested:  # diffusers keeps Wan 2.1's flat list here
        return f"{block}.{index}.{_LAYERS.get(inner, inner)}.{kind}"
    count = resnets + (way == "up")  # up blocks have one resnet more; the sampler follows them
    sampler = next((sampler for sampler in _SAMPLERS if inner.startswith(sampler + ".")), None)
    if sampler:
        position, layer = count, inner.removeprefix(sampler + ".")
    else:
        _, position, layer = inner.split(".")
        layer = _LAYERS[layer]
    position = f"{index}.{way}samples.{position}" if nested else int(index) * (count + 1) + int(position)
    return f"{block}.{position}.{layer}.{kind}"
