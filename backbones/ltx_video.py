"""LTX-Video (2B and 13B, 0.9 to 0.9.8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import WeightsError
from ..files.json_text import parse_object
from .backbone import Backbone, OriginalRows
from .conditioning import Conditioning
from .given_frames import FIRST_FRAME, seen, token_levels
from .latent_format import LatentFormat
from .ltx_video_family import LTX_VIDEO, LTXV
from .ltx_video_names import VARIANTS, original
from .sampling_defaults import Distilled, SamplingDefaults

CAUSAL = "causal_temporal_positioning"
"""In a file's metadata, and in ``config``: the first latent frame stands for one frame, not eight (0.9.5 and later).

A diffusers folder tells it by its pipeline; of a ``transformer`` folder alone it is not known, and then False.
"""
_CAUSAL_PIPELINES = ("LTXConditionPipeline", "LTXI2VLongMultiPromptPipeline")

_HEADS = 32
_FPS = 25.0
_FIXED = {  # metadata that would make it another network than diffusers' class
    "positional_embedding_max_pos": [20, 2048, 2048],
    "positional_embedding_theta": 10000.0,
    "use_middle_indices_grid": False,
    "timestep_scale_multiplier": 1000,
    "cross_attention_adaln": False,
    "caption_proj_before_connector": False,
}

# Noise levels that the distilled networks were made for.
_DISTILLED_LEVELS = (1.0, 0.9937, 0.9875, 0.9812, 0.975, 0.9094, 0.725, 0.4219, 0.0)


class LTXVideo(Backbone):
    """Cross-attention DiT over single latent elements, whose positions are in seconds and pixels; told sigma * 1000.

    ``frame_rate`` is optional in the conditioning; 25 is the default. So is what is given of the clip (``given_frames.py``).
    """

    family = LTX_VIDEO
    diffusers_class = "LTXVideoTransformer3DModel"
    block_lists = {"transformer_blocks": "num_layers"}  # noqa: RUF012
    optional_image = (FIRST_FRAME,)
    distilled = {  # noqa: RUF012
        "distilled": Distilled(
            "LTX-Video 0.9.6 to 0.9.8 distilled", {"steps": 8, "guidance_scale": 1.0, "levels": _DISTILLED_LEVELS},
            "LTX-Video's configs/ltxv-*-distilled.yaml, its first pass, with the last level of its second",
        ),
    }  # fmt: skip

    @classmethod
    def recognises(cls, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """PixArt has the same time embedding, and a convolution for its patches."""
        return "adaln_single.emb.timestep_embedder.linear_1.bias" in shapes and "pos_embed.proj.bias" not in shapes

    @classmethod
    def config_from(cls, shapes: Mapping[str, tuple[int, ...]], metadata: Mapping[str, str]) -> dict[str, Any]:
        """diffusers' config from the tensors' shapes and from ``config`` in the metadata."""
        for key, variant in VARIANTS.items():
            if key in shapes:
                raise WeightsError(f"it is a {variant} network. Use an LTX-Video (0.9) model.")
        try:
            transformer = dict(parse_object(metadata["config"]).get("transformer", {})) if "config" in metadata else {}
        except TypeError as error:
            raise ValueError(str(error)) from None
        for key, expected in _FIXED.items():
            if transformer.get(key, expected) != expected:
                raise WeightsError(f"its metadata says {key} = {transformer[key]}; only {expected} is supported.")
        inner, in_channels = shapes["patchify_proj.weight"]
        heads = transformer.get("num_attention_heads", _HEADS)
        if inner % heads:
            raise WeightsError(f"its width is {inner}; expected a multiple of its {heads} heads.")
        return {
            "in_channels": in_channels,
            "out_channels": shapes["proj_out.weight"][0],
            "patch_size": 1,
            "patch_size_t": 1,
            "num_attention_heads": heads,
            "attention_head_dim": inner // heads,
            "cross_attention_dim": shapes["transformer_blocks.0.attn2.to_k.weight"][1],
            "num_layers": 1 + max(int(key.split(".")[1]) for key in shapes if key.startswith("transformer_blocks.")),
            "activation_fn": "gelu-approximate",
            "qk_norm": "rms_norm_across_heads",
            "norm_elementwise_affine": False,
            "norm_eps": 1e-6,
            "caption_channels": shapes["caption_projection.linear_1.weight"][1],
            "attention_bias": "transformer_blocks.0.attn1.to_q.bias" in shapes,
            "attention_out_bias": "transformer_blocks.0.attn1.to_out.0.bias" in shapes,
            CAUSAL: bool(transformer.get(CAUSAL, False)),
        }

    @classmethod
    def config_of_pipeline(cls, pipeline: str) -> dict[str, Any]:
        """Whether the first latent frame stands for one frame, which a folder's network does not say itself."""
        return {CAUSAL: pipeline in _CAUSAL_PIPELINES}

    @classmethod
    def original_rows(cls, name: str, config: Mapping[str, Any]) -> OriginalRows:
        """A layer under its original name: LTX-Video fuses none."""
        return [(original(name), None)]

    @classmethod
    def latent_format_of(cls, config: Mapping[str, Any]) -> LatentFormat:
        """128 channels."""
        if config["out_channels"] != LTXV.channels or config["in_channels"] != LTXV.channels:
            raise WeightsError(
                f"it samples latents of {config['out_channels']} channels; LTX-Video samples {LTXV.channels}."
            )
        return LTXV

    @classmethod
    def sampling_of(cls, config: Mapping[str, Any]) -> SamplingDefaults:
        """The authors' defaults at 512 x 768."""
        # exp(2.37): the shift of the authors' schedule at this size
        return SamplingDefaults(shift=10.7, steps=40, guidance_scale=3, fps=25, frames=97, height=512, width=768)

    @property
    def text_width(self) -> int:
        """T5-XXL's 4096."""
        return self.config["caption_channels"]

    @property
    def _input_weight(self) -> Tensor:
        return self.module.transformer_blocks[0].attn1.norm_q.weight

    def lora_targets(self, ffn: bool = False) -> list[str]:
        """Self-attention and cross-attention; with ``ffn`` the two layers of the MLP."""
        parts = [
            f"{attention}.{part}" for attention in ("attn1", "attn2") for part in ("to_q", "to_k", "to_v", "to_out.0")
        ]
        if ffn:
            parts += ["ff.net.0.proj", "ff.net.2"]
        return [
            f"transformer_blocks.{index}.{part}"
            for index in range(len(self.module.transformer_blocks))
            for part in parts
        ]

    def _call(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        mask = conditioning.get("text_mask")
        frames, height, width = x_t.shape[2:]
        x, levels = seen(x_t, conditioning), token_levels(x_t, sigma, conditioning)
        if levels.shape[1] > 1:
            levels = levels.repeat_interleave(frames * height * width // levels.shape[1], dim=1)
        v = self.module(
            hidden_states=x.flatten(2).transpose(1, 2),
            encoder_hidden_states=conditioning["text"],
            timestep=(levels if levels.shape[1] > 1 else sigma) * 1000,
            encoder_attention_mask=mask,
            video_coords=self._coordinates(x_t, conditioning.get("frame_rate")),
            num_frames=frames,
            height=height,
            width=width,
            return_dict=False,
        )[0]
        return v.transpose(1, 2).unflatten(2, (frames, height, width))

    def _coordinates(self, x_t: Tensor, frame_rate: Tensor | None) -> Tensor:
        """[B, 3, N] float32: each token's time in seconds, row and column in pixels."""
        stride, side = self.latent_format.temporal_stride, self.latent_format.spatial_stride
        time, rows, columns = (torch.arange(size, device=x_t.device, dtype=torch.float32) for size in x_t.shape[2:])
        time = time * stride
        if self.config.get(CAUSAL):
            time = (time + 1 - stride).clamp(min=0)
        grid = torch.stack(torch.meshgrid(time, rows * side, columns * side, indexing="ij")).flatten(1)
        grid = grid.expand(len(x_t), -1, -1).clone()
        grid[:, 0] /= _FPS if frame_rate is None else frame_rate.to(grid)[:, None]
        return grid
