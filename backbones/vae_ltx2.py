"""The VAE of LTX-2: 128 channels, stride 32 in space and 8 in time, statistics inside the file.

A single file keeps the same flat lists of blocks as LTX-Video's; its decoder takes out no noise, and from 2.3 on it doubles space and
time in steps of their own.
"""

from __future__ import annotations

from torch import nn

from ..errors import WeightsError
from .latent_format import LatentFormat
from .ltx2_family import LTXAV
from .vae_ltx_video import ENCODER_095, LTXVideoVAE, blocks_of, decoder_config, described_vae, encoder_config

_DECODER = [["res_x", 5], ["compress_all", {"residual": True, "multiplier": 2}]] * 3 + [["res_x", 5]]  # 2.0's


class LTX2VAE(LTXVideoVAE):
    """Of 2.0 and 2.3; the sound's VAE is not read."""

    diffusers_class = "AutoencoderKLLTX2Video"
    title = "LTX-2"

    @staticmethod
    def recognises(shapes: dict[str, tuple[int, ...]]) -> bool:
        """LTX-Video's with such an encoder (0.9.5 and newer) tell their decoder a time."""
        return (
            LTXVideoVAE.recognises(shapes)
            and "encoder.down_blocks.1.conv.conv.weight" in shapes
            and "decoder.last_scale_shift_table" not in shapes
        )

    @staticmethod
    def config_of(shapes: dict[str, tuple[int, ...]], metadata: dict[str, str]) -> dict:
        """Lists of blocks from the metadata, or those of 2.0.

        Raises:
            WeightsError: blocks that diffusers' class does not have.
        """
        described = described_vae(metadata)
        encoder = blocks_of(*described.get("encoder_blocks", ENCODER_095))
        decoder = blocks_of(*described.get("decoder_blocks", _DECODER))[::-1]
        width, channels = shapes["encoder.conv_in.conv.weight"][0], shapes["decoder.conv_in.conv.weight"][1]
        if width != channels:
            raise WeightsError(
                f"an LTX-2 encoder that begins with {width} channels is not supported, only with {channels}."
            )
        down, up = encoder_config(encoder, width), decoder_config(decoder, shapes["decoder.conv_in.conv.weight"][0])
        if "conv" in down["downsample_type"]:
            raise WeightsError("an LTX-2 encoder with blocks that keep their size is not supported.")
        patch = described.get("patch_size", 4)
        return {
            **down,
            **up,
            "block_out_channels": down["block_out_channels"][1:],
            "down_block_types": ["LTX2VideoDownBlock3D"] * len(down["downsample_type"]),
            "latent_channels": channels,
            "timestep_conditioning": False,
            "decoder_causal": described.get("causal_decoder", False),
            "encoder_spatial_padding_mode": described.get("spatial_padding_mode", "zeros"),
            "decoder_spatial_padding_mode": described.get("spatial_padding_mode", "reflect"),
            "patch_size": patch,
            "spatial_compression_ratio": patch * 2 ** sum("spati" in kind for kind in down["downsample_type"]),
            "temporal_compression_ratio": 2 ** sum("temporal" in kind for kind in down["downsample_type"]),
        }

    @staticmethod
    def format_of(config: dict) -> LatentFormat:
        """LTX-2's."""
        return LTXAV

    @staticmethod
    def adapt(module: nn.Module, metadata: dict[str, str]) -> None:
        """Its configuration tells everything."""
