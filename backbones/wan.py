"""Wan 2.1 (T2V, I2V, first and last frame), the two experts of Wan 2.2 A14B, Wan 2.2 TI2V-5B, and the micro model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import WeightsError
from .backbone import Backbone, OriginalRows, concatenated, pad_to_patches
from .conditioning import Conditioning, ConditioningError
from .latent_format import LatentFormat
from .sampling_defaults import Distilled, SamplingDefaults
from .wan_family import WAN, WAN21, WAN22
from .wan_image_attention import image_attention
from .wan_names import VARIANTS, original

EXPERT_BOUNDARIES = {"t2v": 0.875, "i2v": 0.9}
"""Wan 2.2 A14B: the high-noise expert works at sigma >= this, the low-noise one below (Wan's own configuration)."""

_HEAD = 128  # channels of an attention head, the same in every Wan


class Wan(Backbone):
    """Cross-attention DiT; tokens of 1x2x2 latent elements; the network is told sigma * 1000.

    Rows of ``text`` that ``text_mask`` masks are left out. Samples with texts of different lengths are then evaluated in
    groups of one length each, which is exact (Wan's own attention has no mask).
    """

    family = WAN
    diffusers_class = "WanTransformer3DModel"
    block_lists = {"blocks": "num_layers"}  # noqa: RUF012
    distilled = {  # noqa: RUF012
        "lightx2v": Distilled(
            "the 4-step models and LoRAs of lightx2v, Wan2.2-Lightning among them", {"steps": 4, "shift": 5.0, "guidance_scale": 1.0},
            "LightX2V's step_distill.md: 4 steps without CFG; timestep_shift 5.0 and steps 1000, 750, 500, 250 of its training",
        ),
    }  # fmt: skip
    ignored = r"\.norm_added_q\."

    @classmethod
    def recognises(cls, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """Every Wan has a modulation of its head."""
        return "head.modulation" in shapes

    @classmethod
    def config_from(cls, shapes: Mapping[str, tuple[int, ...]], metadata: Mapping[str, str]) -> dict[str, Any]:
        """diffusers' config from the tensors' shapes; heads have 128 channels in every Wan."""
        for key, variant in VARIANTS.items():
            if key in shapes:
                raise WeightsError(f"it is a {variant} variant of Wan. Use a T2V, I2V or TI2V model.")
        inner, in_channels = shapes["patch_embedding.weight"][:2]
        if inner % _HEAD:
            raise WeightsError(f"its width is {inner}; a Wan's is a multiple of {_HEAD}.")
        image = shapes.get("img_emb.proj.0.weight")
        positions = shapes.get("img_emb.emb_pos")
        return {
            "patch_size": list(shapes["patch_embedding.weight"][2:]),
            "num_attention_heads": inner // _HEAD,
            "attention_head_dim": _HEAD,
            "in_channels": in_channels,
            "out_channels": shapes["head.head.weight"][0] // 4,
            "text_dim": shapes["text_embedding.0.weight"][1],
            "freq_dim": shapes["time_embedding.0.weight"][1],
            "ffn_dim": shapes["blocks.0.ffn.0.weight"][0],
            "num_layers": 1 + max(int(key.split(".")[1]) for key in shapes if key.startswith("blocks.")),
            "cross_attn_norm": "blocks.0.norm3.weight" in shapes,
            "qk_norm": "rms_norm_across_heads",
            "eps": 1e-6,
            "image_dim": image[0] if image else None,
            "added_kv_proj_dim": inner if image else None,
            "pos_embed_seq_len": positions[1] if positions else None,
        }

    @classmethod
    def original_rows(cls, name: str, config: Mapping[str, Any]) -> OriginalRows:
        """A layer under its original name: Wan fuses none."""
        return [(original(name), None)]

    @classmethod
    def latent_format_of(cls, config: Mapping[str, Any]) -> LatentFormat:
        """Wan 2.1's 16 channels (A14B of Wan 2.2 too), or the 48 of Wan 2.2 TI2V-5B."""
        formats = {latent_format.channels: latent_format for latent_format in (WAN21, WAN22)}
        channels = config["out_channels"]
        if channels not in formats:
            raise WeightsError(f"it samples latents of {channels} channels; a Wan samples {sorted(formats)}.")
        return formats[channels]

    @classmethod
    def sampling_of(cls, config: Mapping[str, Any]) -> SamplingDefaults:
        """The authors' defaults at 480p for 16 channels, at 704p for 48."""
        if config["out_channels"] == WAN22.channels:
            return SamplingDefaults(shift=5, steps=50, guidance_scale=5, fps=24, frames=121, height=704, width=1280)
        return SamplingDefaults(shift=5, steps=50, guidance_scale=5, fps=16, frames=81, height=480, width=832)

    @classmethod
    def build_module(cls, config: Mapping[str, Any]) -> nn.Module:
        """As in the base class; image tokens may come with texts of any length."""
        module = super().build_module(config)
        if module.condition_embedder.image_embedder is not None:
            for block in module.blocks:
                block.attn2.set_processor(image_attention())
        return module

    @property
    def patch(self) -> tuple[int, int, int]:
        """1 x 2 x 2."""
        return tuple(self.config["patch_size"])

    @property
    def needs(self) -> tuple[str, ...]:
        """Text; image-to-video networks an image's latents, those of Wan 2.1 its CLIP tokens too."""
        image = self.config["in_channels"] != self.latent_format.channels
        embeds = self.config.get("image_dim") is not None
        return ("text", *(["image_latents"] if image else []), *(["image_embeds"] if embeds else []))

    @property
    def text_width(self) -> int:
        """umt5's 4096."""
        return self.config["text_dim"]

    @property
    def _input_weight(self) -> Tensor:
        return self.module.patch_embedding.weight

    @property
    def expert_boundary(self) -> float:
        """Of Wan 2.2 A14B; a file does not tell whether it is an expert."""
        return EXPERT_BOUNDARIES["i2v" if "image_latents" in self.needs else "t2v"]

    def image_refusal(self) -> str | None:
        """Networks for a first and a last frame take two pictures."""
        if self.config.get("pos_embed_seq_len") is not None:
            return "this Wan is for a first and a last frame, which is not supported"
        return None

    def lora_targets(self, ffn: bool = False) -> list[str]:
        """Self-attention, cross-attention and its image part; with ``ffn`` the two layers of the MLP."""
        parts = [
            f"{attention}.{part}" for attention in ("attn1", "attn2") for part in ("to_q", "to_k", "to_v", "to_out.0")
        ]
        if self.config.get("added_kv_proj_dim"):
            parts += ["attn2.add_k_proj", "attn2.add_v_proj"]
        if ffn:
            parts += ["ffn.net.0.proj", "ffn.net.2"]
        return [f"blocks.{index}.{part}" for index in range(len(self.module.blocks)) for part in parts]

    def _evaluate(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning, head: bool = True) -> Tensor:
        mask = conditioning.get("text_mask")
        if mask is None:
            return super()._evaluate(x_t, sigma, conditioning, head)
        self._check(x_t, sigma, conditioning)
        mask = mask.bool()
        lengths = mask.sum(1).tolist()
        others = {key: value for key, value in conditioning.items() if key not in ("text", "text_mask")}
        outputs: list[Tensor | None] = [None] * len(lengths)
        for length in sorted(set(lengths)):
            rows = [row for row, tokens in enumerate(lengths) if tokens == length]
            text = conditioning["text"][rows][mask[rows]].unflatten(0, (len(rows), length))
            group = {key: value[rows] for key, value in others.items()} | {"text": text}
            for row, output in zip(rows, super()._evaluate(x_t[rows], sigma[rows], group, head), strict=True):
                outputs[row] = output
        return torch.stack(outputs)

    def _call(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        size = x_t.shape[2:]
        x = pad_to_patches(concatenated(x_t, conditioning, self.config["in_channels"]), self.patch)
        v = self.module(
            hidden_states=x,
            timestep=sigma * 1000,
            encoder_hidden_states=conditioning["text"],
            encoder_hidden_states_image=self._image_embeds(conditioning),
            return_dict=False,
        )[0]
        return v[:, :, : size[0], : size[1], : size[2]]

    def _image_embeds(self, conditioning: Conditioning) -> Tensor | None:
        if self.config.get("image_dim") is None:
            return None
        embeds = conditioning["image_embeds"]
        if embeds.ndim != 3 or embeds.shape[2] != self.config["image_dim"]:
            raise ConditioningError(
                f"image_embeds must be [B, L, {self.config['image_dim']}]; found {list(embeds.shape)}. "
                "Are they of another image encoder?"
            )
        tokens = self.config.get("pos_embed_seq_len")
        for block in self.module.blocks:
            block.attn2.processor.image_tokens = embeds.shape[1]
        if tokens is None:
            return embeds
        if embeds.shape[1] != tokens:
            raise ConditioningError(
                f"This Wan is for a first and a last frame: image_embeds needs {tokens} tokens of both images; found {embeds.shape[1]}."
            )
        return embeds.unflatten(1, (2, tokens // 2)).flatten(0, 1)  # diffusers joins the two images itself
