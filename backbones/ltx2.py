"""LTX-2 (2.0 with 19B, 2.3 with 22B parameters): its video stream, without sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import WeightsError
from ..files.json_text import parse_object
from .backbone import Backbone, OriginalRows
from .conditioning import Conditioning
from .given_frames import FIRST_FRAME, seen, token_levels
from .latent_format import LatentFormat
from .ltx2_family import LTX2, LTXAV
from .ltx2_names import BESIDE_THE_VIDEO, SIGN, original
from .sampling_defaults import Distilled, SamplingDefaults

_HEADS = 32
_FPS = 25.0  # where a conditioning tells none, as ComfyUI has it
_FIXED = {  # metadata that would make it another network than diffusers' class, and what ComfyUI assumes without it
    "positional_embedding_max_pos": ([20, 2048, 2048], [20, 2048, 2048]),
    "positional_embedding_theta": (10000.0, 10000.0),
    "use_middle_indices_grid": (True, False),
    "causal_temporal_positioning": (True, False),
    "timestep_scale_multiplier": (1000, 1000),
    "vae_scale_factors": ([8, 32, 32], [8, 32, 32]),
}
# Noise levels that the distilled checkpoints and LoRAs were made for.
_DISTILLED_LEVELS = (1.0, 0.99375, 0.9875, 0.98125, 0.975, 0.909375, 0.725, 0.421875, 0.0)
_NEWER = "it is of LTX-2.5 or newer, which is not supported yet. Use an LTX-2 or LTX-2.3 model."


class LTX2Video(Backbone):
    """Cross-attention DiT over single latent elements, whose positions are spans in seconds and pixels; told sigma * 1000.

    ``text`` is what the text encoder's connectors give for the video, 1024 tokens or more. ComfyUI hands on the sound's behind it; that
    part is left out. ``frame_rate`` is optional in the conditioning; 25 is the default. So is what is given of the clip (``given_frames.py``).
    """

    family = LTX2
    diffusers_class = "LTX2VideoTransformer3DModel"
    block_lists = {"transformer_blocks": "num_layers"}  # noqa: RUF012
    distilled = {  # noqa: RUF012
        "distilled": Distilled(
            "LTX-2 and LTX-2.3 distilled, and their LoRAs", {"steps": 8, "guidance_scale": 1.0, "levels": _DISTILLED_LEVELS},
            "the first stage of LTX-2's distilled pipeline (DISTILLED_SIGMA_VALUES, in diffusers too)",
        ),
    }  # fmt: skip
    optional_image = (FIRST_FRAME,)
    ignored = BESIDE_THE_VIDEO

    @classmethod
    def recognises(cls, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """It has a network for the sound; LTX-Video has the same names otherwise."""
        return SIGN in shapes and "adaln_single.linear.weight" in shapes

    @classmethod
    def config_from(cls, shapes: Mapping[str, tuple[int, ...]], metadata: Mapping[str, str]) -> dict[str, Any]:
        """diffusers' config from the tensors' shapes and from ``config`` in the metadata."""
        transformer = described(metadata)
        for key, (expected, assumed) in _FIXED.items():
            if (told := transformer.get(key, assumed)) != expected:
                raise WeightsError(
                    f"its metadata says {key} = {told}; only {expected} is supported. A file that has lost its metadata "
                    "('config') is of no use in ComfyUI either: get the whole one."
                )
        modulated = "prompt_adaln_single.linear.weight" in shapes
        if "transformer_blocks.0.ff.net.2.bias" not in shapes or (
            "transformer_blocks.0.prompt_scale_shift_table" in shapes and not modulated
        ):
            raise WeightsError(_NEWER)
        inner, in_channels = shapes["patchify_proj.weight"]
        audio, audio_channels = shapes["audio_patchify_proj.weight"]
        heads = transformer.get("num_attention_heads", _HEADS)
        audio_heads = transformer.get("audio_num_attention_heads", _HEADS)
        if inner % heads or audio % audio_heads:
            raise WeightsError(
                f"its widths are {inner} and {audio}; expected multiples of {heads} and {audio_heads} heads."
            )
        projected = "caption_projection.linear_2.weight" in shapes
        if not projected and "caption_projection.linear_1.weight" in shapes:
            raise WeightsError("its caption_projection has one layer; only two, or none, are supported.")
        return {
            "in_channels": in_channels,
            "out_channels": shapes["proj_out.weight"][0],
            "patch_size": 1,
            "patch_size_t": 1,
            "num_attention_heads": heads,
            "attention_head_dim": inner // heads,
            "cross_attention_dim": shapes["transformer_blocks.0.attn2.to_k.weight"][1],
            "gated_attn": "transformer_blocks.0.attn1.to_gate_logits.weight" in shapes,
            "cross_attn_mod": modulated,
            "audio_in_channels": audio_channels,
            "audio_num_attention_heads": audio_heads,
            "audio_attention_head_dim": audio // audio_heads,
            "audio_cross_attention_dim": shapes["transformer_blocks.0.audio_attn2.to_k.weight"][1],
            "num_layers": 1 + max(int(key.split(".")[1]) for key in shapes if key.startswith("transformer_blocks.")),
            "use_prompt_embeddings": projected,
            "caption_channels": shapes["caption_projection.linear_1.weight"][1] if projected else inner,
            "rope_type": transformer.get("rope_type", "interleaved"),
            "rope_double_precision": transformer.get("frequencies_precision", "float32") == "float64",
        }

    @classmethod
    def network_class(cls) -> type[nn.Module]:
        """diffusers' network without the sound.

        Raises:
            VideoAlignError: the installed diffusers does not have it.
        """
        super().network_class()  # says what is missing
        from .ltx2_video_stream import LTX2VideoStream

        return LTX2VideoStream

    @classmethod
    def original_rows(cls, name: str, config: Mapping[str, Any]) -> OriginalRows:
        """A layer under its original name: LTX-2 fuses none."""
        return [(original(name), None)]

    @classmethod
    def latent_format_of(cls, config: Mapping[str, Any]) -> LatentFormat:
        """128 channels."""
        if config["out_channels"] != LTXAV.channels or config["in_channels"] != LTXAV.channels:
            raise WeightsError(
                f"it samples latents of {config['out_channels']} channels; LTX-2 samples {LTXAV.channels}."
            )
        if not config.get("ff_bias", True) or not config.get("use_prompt_adaln_single", True):
            raise WeightsError(_NEWER)
        return LTXAV

    @classmethod
    def sampling_of(cls, config: Mapping[str, Any]) -> SamplingDefaults:
        """The authors' defaults of the dev models at 512 x 768; a distilled one has the same config: see ``distilled``."""
        # exp(2.05): the shift of the authors' schedule, at any size
        steps, scale = (30, 3) if config["cross_attn_mod"] else (40, 4)
        return SamplingDefaults(
            shift=7.77, steps=steps, guidance_scale=scale, fps=24, frames=121, height=512, width=768
        )

    @property
    def text_width(self) -> int:
        """3840 in 2.0, whose network projects the text; the network's own 4096 in 2.3."""
        if self.config["use_prompt_embeddings"]:
            return self.config["caption_channels"]
        return self.config["num_attention_heads"] * self.config["attention_head_dim"]

    @property
    def text_widths(self) -> tuple[int, ...]:
        """Its own, and ComfyUI's: the sound's text behind the video's."""
        audio = self.config["audio_num_attention_heads"] * self.config["audio_attention_head_dim"]
        return self.text_width, self.text_width + (self.text_width if self.config["use_prompt_embeddings"] else audio)

    @property
    def _input_weight(self) -> Tensor:
        return self.module.transformer_blocks[0].attn1.norm_q.weight

    def lora_targets(self, ffn: bool = False) -> list[str]:
        """The video's attention to itself and to the text; with ``ffn`` the two layers of its MLP."""
        parts = [
            f"{attention}.{part}" for attention in ("attn1", "attn2") for part in ("to_q", "to_k", "to_v", "to_out.0")
        ]
        if ffn:
            parts += ["ff.net.0.proj", "ff.net.2"]
        blocks = range(len(self.module.transformer_blocks))
        return [f"transformer_blocks.{index}.{part}" for index in blocks for part in parts]

    def _call(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        mask = conditioning.get("text_mask")
        x, levels = seen(x_t, conditioning), token_levels(x_t, sigma, conditioning)
        v = self.module(
            x.flatten(2).transpose(1, 2),
            conditioning["text"][..., : self.text_width],
            levels * 1000,
            levels.amax(1) * 1000,
            mask,
            self._coordinates(x_t, conditioning.get("frame_rate")),
        )
        return v.transpose(1, 2).unflatten(2, x_t.shape[2:])

    def _coordinates(self, x_t: Tensor, frame_rate: Tensor | None) -> Tensor:
        """[B, 3, N, 2] float32: where each token begins and ends, in seconds, rows and columns of pixels.

        The first latent frame stands for one frame. Cosines of up to 15708 times these: seconds are rounded as ComfyUI does it.
        """
        stride, side = self.latent_format.temporal_stride, self.latent_format.spatial_stride
        sizes = x_t.shape[2:]
        starts = torch.meshgrid(*(torch.arange(size, device=x_t.device) for size in sizes), indexing="ij")
        grid = torch.stack(starts).flatten(1)[..., None] + torch.arange(2, device=x_t.device)
        grid = grid * torch.tensor([stride, side, side], device=x_t.device)[:, None, None]
        grid[0] = (grid[0] + 1 - stride).clamp(min=0)
        grid = grid.float().expand(len(x_t), -1, -1, -1).clone()
        rate = torch.full((1,), _FPS, device=x_t.device) if frame_rate is None else frame_rate.to(grid)
        grid[:, 0] *= (1.0 / rate.double()).float()[:, None, None]
        return grid


def described(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What a file's metadata says about its network, in its authors' words.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return dict(parse_object(metadata["config"]).get("transformer", {})) if "config" in metadata else {}
    except TypeError as error:
        raise ValueError(str(error)) from None
