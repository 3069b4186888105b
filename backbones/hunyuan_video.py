"""HunyuanVideo: T2V with embedded guidance, and the I2V variants that concatenate the image's latents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import WeightsError
from .backbone import Backbone, OriginalRows, concatenated, pad_to_patches
from .conditioning import Conditioning, ConditioningError
from .hunyuan_video_family import HUNYUAN_VIDEO, LATENTS
from .hunyuan_video_names import FILE_NAMES, VARIANTS, block_count, original_rows
from .latent_format import LatentFormat
from .sampling_defaults import Distilled, SamplingDefaults

_HEAD = 128
_ROPE = [16, 56, 56]  # of a head's channels: time, height, width


class HunyuanVideo(Backbone):
    """Double-stream, then single-stream blocks over video and text tokens; 1x2x2 patches; told sigma * 1000.

    ``guidance`` is optional in the conditioning: where the network has that input the authors' 6.0 is the default.
    """

    family = HUNYUAN_VIDEO
    diffusers_class = "HunyuanVideoTransformer3DModel"
    block_lists = {"transformer_blocks": "num_layers", "single_transformer_blocks": "num_single_layers"}  # noqa: RUF012
    distilled = {  # noqa: RUF012
        "fasthunyuan": Distilled(
            "FastHunyuan", {"steps": 6, "shift": 17.0, "guidance_scale": 1.0, "embedded_guidance": 6.0}, "FastVideo's inference_hunyuan.sh",
        ),
    }  # fmt: skip

    @classmethod
    def recognises(cls, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """It refines its text's tokens in blocks of their own."""
        return "txt_in.individual_token_refiner.blocks.0.norm1.weight" in shapes

    @classmethod
    def original_name(cls, name: str) -> str:
        """Tencent's names become those of ComfyUI's network."""
        return FILE_NAMES.to_network(name)

    @classmethod
    def config_from(cls, shapes: Mapping[str, tuple[int, ...]], metadata: Mapping[str, str]) -> dict[str, Any]:
        """diffusers' config from the tensors' shapes; heads have 128 channels."""
        for key, variant in VARIANTS.items():
            if key in shapes:
                raise WeightsError(f"it is a {variant} network. Use a HunyuanVideo (1.0) model.")
        hidden, in_channels, *patch = shapes["img_in.proj.weight"]
        if patch != [1, 2, 2] or hidden % _HEAD:
            raise WeightsError(
                f"its patches are {patch} and its width {hidden}; expected [1, 2, 2] and a multiple of {_HEAD}."
            )
        return {
            "in_channels": in_channels,
            "out_channels": shapes["final_layer.linear.weight"][0] // 4,
            "num_attention_heads": hidden // _HEAD,
            "attention_head_dim": _HEAD,
            "num_layers": block_count(shapes, "double_blocks."),
            "num_single_layers": block_count(shapes, "single_blocks."),
            "num_refiner_layers": block_count(shapes, "txt_in.individual_token_refiner.blocks."),
            "mlp_ratio": shapes["double_blocks.0.img_mlp.0.weight"][0] / hidden,
            "patch_size": 2,
            "patch_size_t": 1,
            "qk_norm": "rms_norm",
            "guidance_embeds": "guidance_in.in_layer.weight" in shapes,
            "text_embed_dim": shapes["txt_in.input_embedder.weight"][1],
            "pooled_projection_dim": shapes["vector_in.in_layer.weight"][1],
            "rope_theta": 256.0,
            "rope_axes_dim": _ROPE,
            "image_condition_type": None if in_channels == LATENTS.channels else "latent_concat",
        }

    @classmethod
    def original_rows(cls, name: str, config: Mapping[str, Any]) -> OriginalRows:
        """A layer's rows in the original, which fuses q, k and v, and in single blocks the MLP's first layer with them."""
        hidden = config["num_attention_heads"] * config["attention_head_dim"]
        return original_rows(name, hidden, int(hidden * config["mlp_ratio"]))

    @classmethod
    def latent_format_of(cls, config: Mapping[str, Any]) -> LatentFormat:
        """16 channels; the image-to-video variant that replaces tokens is refused."""
        if config["out_channels"] != LATENTS.channels:
            raise WeightsError(
                f"it samples latents of {config['out_channels']} channels; HunyuanVideo samples {LATENTS.channels}."
            )
        if config.get("image_condition_type") == "token_replace":
            raise WeightsError(
                "it replaces tokens of the first frame (I2V of March 2025); use T2V or the concatenating I2V."
            )
        return LATENTS

    @classmethod
    def sampling_of(cls, config: Mapping[str, Any]) -> SamplingDefaults:
        """The authors' defaults at 720p; guidance is embedded where the network is distilled."""
        return SamplingDefaults(
            shift=7, steps=50, guidance_scale=1, fps=24, frames=129, height=720, width=1280,
            embedded_guidance=6.0 if config["guidance_embeds"] else None,
        )  # fmt: skip

    @property
    def needs(self) -> tuple[str, ...]:
        """LLaMA's tokens and CLIP's vector; image-to-video networks an image's latents."""
        image = self.config["in_channels"] != self.latent_format.channels
        return ("text", "pooled", *(["image_latents"] if image else []))

    @property
    def text_width(self) -> int:
        """LLaMA's 4096."""
        return self.config["text_embed_dim"]

    @property
    def _input_weight(self) -> Tensor:
        return self.module.x_embedder.proj.weight

    def image_refusal(self) -> str | None:
        """Its text encoder would have to be shown the picture."""
        return f"this {self.name} network is an image-to-video one whose text encoder sees the image too, which is not supported"

    def lora_targets(self, ffn: bool = False) -> list[str]:
        """Attention of both streams; with ``ffn`` their MLPs, and the output of single blocks, which is one with the MLP's."""
        double = ["to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"]
        single = ["attn.to_q", "attn.to_k", "attn.to_v"]  # their output layer is one with the MLP's: proj_out
        double = [f"attn.{part}" for part in double]
        if ffn:
            double += [f"{mlp}.net.{part}" for mlp in ("ff", "ff_context") for part in ("0.proj", "2")]
            single += ["proj_mlp", "proj_out"]
        return [
            f"{attribute}.{index}.{part}"
            for attribute, parts in (("transformer_blocks", double), ("single_transformer_blocks", single))
            for index in range(len(getattr(self.module, attribute)))
            for part in parts
        ]

    def _call(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        size = x_t.shape[2:]
        text, mask = _tokens_first(conditioning["text"], conditioning.get("text_mask"))
        pooled = conditioning["pooled"]
        width = self.config["pooled_projection_dim"]
        if pooled.ndim != 2 or pooled.shape[1] < width:
            raise ConditioningError(f"pooled must be [B, {width}]; found {list(pooled.shape)}.")
        guidance = None
        if self.config["guidance_embeds"]:
            guidance = (
                conditioning.get("guidance", torch.full_like(sigma, self.sampling.embedded_guidance)).to(sigma) * 1000
            )
        v = self.module(
            hidden_states=pad_to_patches(concatenated(x_t, conditioning, self.config["in_channels"]), self.patch),
            timestep=sigma * 1000,
            encoder_hidden_states=text,
            encoder_attention_mask=mask,
            pooled_projections=pooled[:, :width],
            guidance=guidance,
            return_dict=False,
        )[0]
        return v[:, :, : size[0], : size[1], : size[2]]


def _tokens_first(text: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Text with its tokens before its padding, which diffusers takes for granted; text tokens have no positions."""
    if mask is None:
        return text, text.new_ones(text.shape[:2], dtype=torch.long)
    mask = mask.bool()
    order = mask.long().argsort(dim=1, descending=True, stable=True)
    return text.gather(1, order[..., None].expand_as(text)), mask.gather(1, order).long()
