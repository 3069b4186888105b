"""The VAE of LTX-Video: 128 channels, stride 32 in space and 8 in time, statistics inside the file.

A single file keeps one flat list of blocks, described in its metadata (``config``); older files come in three variants that
their shapes tell apart. Here the list is sorted into diffusers' blocks, and back.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import WeightsError
from ..files.json_text import parse_object
from .devices import forked_random
from .flow_path import add_noise
from .latent_format import LatentFormat
from .ltx_video_family import LTXV
from .vae import VAE

DECODE_TIMESTEP, DECODE_NOISE_SCALE = 0.05, 0.025  # of the decoders that take out the last noise (0.9.1 and newer)
_NOISE_SEED = 0

Block = tuple[str, dict]


def blocks_of(*described: tuple[str, int | dict]) -> list[Block]:
    """Blocks whose options are given in full or as the number of layers alone."""
    return [(name, {"num_layers": value} if isinstance(value, int) else dict(value)) for name, value in described]


_ENCODER_090 = blocks_of(
    ("res_x", 4), ("compress_all", 1), ("res_x_y", 1), ("res_x", 3), ("compress_all", 1), ("res_x_y", 1), ("res_x", 3),
    ("compress_all", 1), ("res_x", 3), ("res_x", 4),
)  # fmt: skip
ENCODER_095 = blocks_of(
    ("res_x", 4), ("compress_space_res", {"multiplier": 2}), ("res_x", 6), ("compress_time_res", {"multiplier": 2}),
    ("res_x", 6), ("compress_all_res", {"multiplier": 2}), ("res_x", 2), ("compress_all_res", {"multiplier": 2}), ("res_x", 2),
)  # fmt: skip
_UP = {"residual": True, "multiplier": 2}
_DECODER_091 = blocks_of(
    ("res_x", {"num_layers": 5, "inject_noise": True}), ("compress_all", _UP),
    ("res_x", {"num_layers": 6, "inject_noise": True}), ("compress_all", _UP),
    ("res_x", {"num_layers": 7, "inject_noise": True}), ("compress_all", _UP), ("res_x", 8),
)  # fmt: skip
_DECODER_095 = blocks_of(
    ("res_x", 5),
    ("compress_all", _UP),
    ("res_x", 5),
    ("compress_all", _UP),
    ("res_x", 5),
    ("compress_all", _UP),
    ("res_x", 5),
)

_UPSAMPLERS = {"compress_all": "spatiotemporal", "compress_space": "spatial", "compress_time": "temporal"}
_DOWNSAMPLERS = {
    "compress_all": "conv", "compress_all_res": "spatiotemporal", "compress_space_res": "spatial",
    "compress_time_res": "temporal",
}  # fmt: skip
_SPATIAL = ("compress_all", "compress_all_res", "compress_space_res")
_TEMPORAL = ("compress_all", "compress_all_res", "compress_time_res")
_STATISTICS = {
    "latents_mean": "per_channel_statistics.mean-of-means", "latents_std": "per_channel_statistics.std-of-means",
}  # fmt: skip


class LTXVideoVAE(VAE):
    """Versions 0.9 to 0.9.8. The decoders of 0.9.1 and newer also take out a little noise; it is added with a fixed seed."""

    diffusers_class = "AutoencoderKLLTXVideo"
    title = "LTX-Video"

    @staticmethod
    def recognises(shapes: dict[str, tuple[int, ...]]) -> bool:
        """Its statistics are in the file."""
        return "per_channel_statistics.std-of-means" in shapes and "decoder.conv_in.conv.weight" in shapes

    @staticmethod
    def config_of(shapes: dict[str, tuple[int, ...]], metadata: dict[str, str]) -> dict:
        """Lists of blocks from the metadata, or those of the version that the shapes tell."""
        described = described_vae(metadata)
        both = described.get("blocks")
        encoder, decoder = described.get("encoder_blocks", both), described.get("decoder_blocks", both)
        if not (encoder and decoder):
            encoder, decoder = _older_version(shapes)
        encoder, decoder = (
            blocks_of(*encoder),
            blocks_of(*decoder)[::-1],
        )  # the decoder's list is in the encoder's order
        patch = described.get("patch_size", 4)
        return {
            **encoder_config(encoder, shapes["encoder.conv_in.conv.weight"][0]),
            **_of_one_kind(decoder_config(decoder, shapes["decoder.conv_in.conv.weight"][0])),
            "latent_channels": shapes["decoder.conv_in.conv.weight"][1],
            "timestep_conditioning": "decoder.last_scale_shift_table" in shapes,
            "decoder_causal": described.get("causal_decoder", False),
            "patch_size": patch,
            "spatial_compression_ratio": patch * 2 ** sum(kind in _SPATIAL for kind, _ in encoder),
            "temporal_compression_ratio": 2 ** sum(kind in _TEMPORAL for kind, _ in encoder),
        }

    @staticmethod
    def format_of(config: dict) -> LatentFormat:
        """LTX-Video's."""
        return LTXV

    @staticmethod
    def adapt(module: nn.Module, metadata: dict[str, str]) -> None:
        """How the decoder goes on beyond the picture's sides."""
        # ComfyUI continues the picture by reflection in the decoder unless the file says otherwise; diffusers by zeros.
        mode = described_vae(metadata).get("spatial_padding_mode", "reflect")
        for layer in module.decoder.modules():
            if isinstance(layer, nn.Conv3d) and layer.kernel_size[-1] > 1:
                layer.padding_mode = mode

    @staticmethod
    def may_ignore(name: str) -> bool:
        """Further statistics."""
        return name.startswith("per_channel_statistics.")

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Those of the file."""
        return self.module.latents_mean, self.module.latents_std / self.module.config.scaling_factor

    def decode_raw(self, latents: Tensor) -> Tensor:
        """Decoders that take out the last noise are given it, the same for every call."""
        if not self.module.config.timestep_conditioning:
            return self.module.decode(latents).sample
        # Its blocks may draw noise as well: the same for every call, so that decoding is deterministic.
        with forked_random(latents):
            torch.manual_seed(_NOISE_SEED)
            mean, std = (statistic.to(latents).view(1, -1, 1, 1, 1) for statistic in (self.mean, self.std))
            noise = torch.randn(latents.shape[1:]).to(latents) * std + mean
            noisy = add_noise(latents, noise, DECODE_NOISE_SCALE)
            timestep = torch.full((len(latents),), DECODE_TIMESTEP, device=latents.device, dtype=latents.dtype)
            return self.module.decode(noisy, timestep).sample

    @classmethod
    def original_names(cls, module: nn.Module) -> dict[str, str]:
        """Name in the original's flat lists of blocks of each of diffusers' tensors."""
        originals = _original_blocks(module)
        return {name: _original_name(name, originals) for name in module.state_dict()}


def described_vae(metadata: dict[str, str]) -> dict:
    """What a file's metadata says about its VAE.

    Raises:
        WeightsError: it is not JSON.
    """
    try:
        return dict(parse_object(metadata.get("config", "{}")).get("vae") or {})
    except (ValueError, TypeError) as error:
        raise WeightsError(f"the metadata's 'config' of this LTX-Video file is not JSON ({error}).") from None


def encoder_config(blocks: list[Block], width: int) -> dict:
    """diffusers' arguments from the encoder's list: blocks of [res_x] compress [res_x_y], then a middle res_x.

    Raises:
        WeightsError: a list that diffusers' class cannot express.
    """
    layers, scaling, kinds, widths = [], [], [], [width]
    rest = list(blocks)
    middle = rest.pop()[1]["num_layers"] if rest and rest[-1][0] == "res_x" else 0
    while rest:
        layers.append(rest.pop(0)[1]["num_layers"] if rest[0][0] == "res_x" else 0)
        scaled = bool(rest) and rest[0][0] in _DOWNSAMPLERS
        if scaled:
            kind, options = rest.pop(0)
            kinds.append(_DOWNSAMPLERS[kind])
            width *= options.get("multiplier", 2) if kind.endswith("_res") else 1
            if rest and rest[0][0] == "res_x_y":
                width *= rest.pop(0)[1].get("multiplier", 2)
        elif not layers[-1]:
            raise WeightsError(f"LTX-Video encoder blocks of kind '{rest[0][0]}' are not supported.")
        else:
            kinds.append("conv")
        scaling.append(scaled)
        widths.append(width)
    newer = any(kind != "conv" for kind in kinds)
    if not newer and widths[-1] != widths[-2]:
        raise WeightsError("an LTX-Video encoder whose last block changes its width is not supported.")
    return {
        "block_out_channels": widths if newer else widths[:-1],
        "down_block_types": ["LTXVideo095DownBlock3D" if newer else "LTXVideoDownBlock3D"] * len(layers),
        "layers_per_block": [*layers, middle],
        "spatio_temporal_scaling": scaling,
        "downsample_type": kinds,
    }


def decoder_config(blocks: list[Block], width: int) -> dict:
    """diffusers' arguments from the decoder's list in order of execution: a middle res_x, then blocks of [res_x_y]
    [compress_all, or compress_space or compress_time] [res_x]. diffusers wants them from the last block to the first.

    Raises:
        WeightsError: a list that diffusers' class cannot express.
    """
    rest, first = list(blocks), width
    middle = rest.pop(0)[1] if rest[0][0] == "res_x" else {"num_layers": 0}
    layers, noise = [middle["num_layers"]], [middle.get("inject_noise", False)]
    widths, scaling, kinds, residual, factors = [], [], [], [], []
    while rest:
        before, options, up = len(rest), {"num_layers": 0}, {}
        if rest[0][0] == "res_x_y":
            options = {**rest.pop(0)[1], "num_layers": 0}
            width //= options.get("multiplier", 2)
        scaled, kind = bool(rest) and rest[0][0] in _UPSAMPLERS, "compress_all"
        if scaled:
            kind, up = rest.pop(0)
            width //= up.get("multiplier", 1)
        if rest and rest[0][0] == "res_x":
            options = rest.pop(0)[1]
        if len(rest) == before:
            raise WeightsError(f"LTX-Video decoder blocks of kind '{rest[0][0]}' are not supported.")
        layers.append(options["num_layers"])
        noise.append(options.get("inject_noise", False))
        scaling.append(scaled)
        kinds.append(_UPSAMPLERS[kind])
        residual.append(up.get("residual", False))
        factors.append(up.get("multiplier", 1))
        widths.append(width * factors[-1])
    if widths[0] != first:
        raise WeightsError("an LTX-Video decoder whose first block changes its width is not supported.")
    return {
        "decoder_block_out_channels": widths[::-1],
        "decoder_layers_per_block": layers[::-1],
        "decoder_inject_noise": noise[::-1],
        "decoder_spatio_temporal_scaling": scaling[::-1],
        "upsample_type": kinds,
        "upsample_residual": residual[::-1],
        "upsample_factor": factors[::-1],
    }


def _of_one_kind(config: dict) -> dict:
    """A decoder's arguments for LTX-Video's class, which doubles space and time together.

    Raises:
        WeightsError: the list has steps for one of them.
    """
    if set(config.pop("upsample_type")) != {"spatiotemporal"}:
        raise WeightsError("LTX-Video decoder blocks that double space or time alone are not supported.")
    return config


def _older_version(shapes: dict[str, tuple[int, ...]]) -> tuple[list, list]:
    """Encoder and decoder lists of files without metadata."""
    if shapes.get("decoder.up_blocks.0.res_blocks.0.conv1.conv.weight", (0,))[0] != 1024:
        return _ENCODER_090, _ENCODER_090
    return (
        (ENCODER_095, _DECODER_095)
        if "encoder.down_blocks.1.conv.conv.bias" in shapes
        else (_ENCODER_090, _DECODER_091)
    )


def _original_blocks(module: nn.Module) -> dict[str, str]:
    """Original module of each of diffusers' blocks: their flat list is numbered in order of execution."""
    originals: dict[str, str] = {}

    def add(half: str, prefix: str, present: object) -> None:
        if present:
            index = sum(original.startswith(f"{half}.") for original in originals.values())
            originals[f"{half}.{prefix}"] = f"{half}.{'down' if half == 'encoder' else 'up'}_blocks.{index}"

    for number, block in enumerate(module.encoder.down_blocks):
        add("encoder", f"down_blocks.{number}.resnets", len(block.resnets))
        add("encoder", f"down_blocks.{number}.downsamplers.0", block.downsamplers)
        add("encoder", f"down_blocks.{number}.conv_out", getattr(block, "conv_out", None) is not None)
    add("encoder", "mid_block.resnets", len(module.encoder.mid_block.resnets))
    add("decoder", "mid_block.resnets", len(module.decoder.mid_block.resnets))
    for number, block in enumerate(module.decoder.up_blocks):
        add("decoder", f"up_blocks.{number}.conv_in", block.conv_in is not None)
        add("decoder", f"up_blocks.{number}.upsamplers.0", block.upsamplers)
        add("decoder", f"up_blocks.{number}.resnets", len(block.resnets))
    return originals


def _original_name(name: str, originals: dict[str, str]) -> str:
    if name in _STATISTICS:
        return _STATISTICS[name]
    name = name.replace("conv_shortcut.conv.", "conv_shortcut.").replace(".norm3.", ".norm3.norm.")
    if name.startswith(("decoder.time_embedder.", "decoder.scale_shift_table")):
        return name.replace("decoder.", "decoder.last_", 1)
    block, separator, rest = name.partition(".time_embedder.")
    if separator:
        return f"{originals[block + '.resnets']}.time_embedder.{rest}"
    for block, original in originals.items():
        if name.startswith(block + "."):
            rest = name.removeprefix(block + ".")
            return f"{original}.res_blocks.{rest}" if block.endswith(".resnets") else f"{original}.{rest}"
    return name
