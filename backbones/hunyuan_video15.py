"""HunyuanVideo 1.5: text to video, 480p and 720p, with 8.3B parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ..errors import WeightsError
from .backbone import Backbone, OriginalRows, concatenated
from .conditioning import Conditioning, ConditioningError
from .hunyuan_video15_family import HUNYUAN_VIDEO15, LATENTS
from .hunyuan_video15_names import SIGN, original_rows
from .hunyuan_video_names import FILE_NAMES, block_count
from .latent_format import LatentFormat
from .sampling_defaults import Distilled, SamplingDefaults

_HEAD = 128
_CHANNELS = 2 * LATENTS.channels + 1
_MEAN_FLOW = (
    "it is a step-distilled network that is also told the next noise level (time_r_in), which is not supported. Use HunyuanVideo 1.5's "
    "480p or 720p text-to-video model, or its cfg-distilled one."
)


class HunyuanVideo15(Backbone):
    """Double-stream blocks over single latent elements and text tokens; told sigma * 1000.

    Beside the noisy latents it gets 33 channels of an image: zeros for text to video. ``image_latents`` (all 33) and ``image_embeds`` are
    optional in the conditioning, as ComfyUI gives them to the sampler; ``glyphs`` is there where the prompt quotes a text.
    """

    family = HUNYUAN_VIDEO15
    diffusers_class = "HunyuanVideo15Transformer3DModel"
    block_lists = {"transformer_blocks": "num_layers"}  # noqa: RUF012
    distilled = {  # noqa: RUF012
        "hunyuan15-cfg": Distilled("the cfg-distilled models", {"guidance_scale": 1.0}, "the table of configurations in its README"),
    }  # fmt: skip

    @classmethod
    def recognises(cls, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """It marks its text's tokens by their encoder, and refines them in blocks of their own."""
        return SIGN in shapes and "txt_in.individual_token_refiner.blocks.0.norm1.weight" in shapes

    @classmethod
    def original_name(cls, name: str) -> str:
        """Tencent's names become those of ComfyUI's network."""
        return FILE_NAMES.to_network(name)

    @classmethod
    def config_from(cls, shapes: Mapping[str, tuple[int, ...]], metadata: Mapping[str, str]) -> dict[str, Any]:
        """diffusers' config from the tensors' shapes; heads have 128 channels."""
        if "time_r_in.in_layer.weight" in shapes:
            raise WeightsError(_MEAN_FLOW)
        hidden, in_channels, *patch = shapes["img_in.proj.weight"]
        if patch != [1, 1, 1] or hidden % _HEAD:
            raise WeightsError(
                f"its patches are {patch} and its width {hidden}; expected [1, 1, 1] and a multiple of {_HEAD}."
            )
        return {
            "in_channels": in_channels,
            "out_channels": shapes["final_layer.linear.weight"][0],
            "num_attention_heads": hidden // _HEAD,
            "attention_head_dim": _HEAD,
            "num_layers": block_count(shapes, "double_blocks."),
            "num_refiner_layers": block_count(shapes, "txt_in.individual_token_refiner.blocks."),
            "mlp_ratio": shapes["double_blocks.0.img_mlp.0.weight"][0] / hidden,
            "patch_size": 1,
            "patch_size_t": 1,
            "text_embed_dim": shapes["txt_in.input_embedder.weight"][1],
            "text_embed_2_dim": shapes["byt5_in.fc1.weight"][1],
            "image_embed_dim": shapes["vision_in.proj.0.weight"][0],
            "task_type": "t2v",  # an image-to-video file has the same tensors
        }

    @classmethod
    def network_class(cls) -> type[nn.Module]:
        """diffusers' network without its masks of all tokens by all.

        Raises:
            VideoAlignError: the installed diffusers does not have it.
        """
        super().network_class()  # says what is missing
        from .hunyuan_video15_network import HunyuanVideo15Network

        return HunyuanVideo15Network

    @classmethod
    def original_rows(cls, name: str, config: Mapping[str, Any]) -> OriginalRows:
        """A layer's rows in the original, which fuses q, k and v."""
        hidden = config["num_attention_heads"] * config["attention_head_dim"]
        return original_rows(name, hidden, int(hidden * config["mlp_ratio"]))

    @classmethod
    def latent_format_of(cls, config: Mapping[str, Any]) -> LatentFormat:
        """32 channels; upscalers, image-to-video folders and mean flow are refused."""
        if config.get("use_meanflow"):
            raise WeightsError(_MEAN_FLOW)
        channels = config.get("in_channels", _CHANNELS), config.get("out_channels", LATENTS.channels)
        if channels != (_CHANNELS, LATENTS.channels):
            raise WeightsError(
                f"it takes {channels[0]} channels and gives {channels[1]}; HunyuanVideo 1.5's text-to-video networks take {_CHANNELS} and give "
                f"{LATENTS.channels}. Its upscalers (98 channels) are not supported."
            )
        if config.get("task_type", "t2v") != "t2v":
            raise WeightsError(
                "it is an image-to-video network, which needs SigLIP's tokens of the picture; of HunyuanVideo 1.5 only text-to-video networks are "
                "supported. Use one of those, or a Wan image-to-video model."
            )
        return LATENTS

    @classmethod
    def sampling_of(cls, config: Mapping[str, Any]) -> SamplingDefaults:
        """The authors' defaults of 480p; of 720p where a folder says so. A file does not tell: its shift would be 9."""
        large = config.get("target_size", 640) > 640
        height, width = (720, 1280) if large else (480, 848)
        return SamplingDefaults(
            shift=9 if large else 5, steps=50, guidance_scale=6, fps=24, frames=121, height=height, width=width
        )

    @property
    def text_width(self) -> int:
        """Qwen2.5-VL's 3584."""
        return self.config["text_embed_dim"]

    @property
    def _input_weight(self) -> Tensor:
        return self.module.x_embedder.proj.weight

    def lora_targets(self, ffn: bool = False) -> list[str]:
        """Attention of both streams; with ``ffn`` their MLPs. What the last block makes of the text is read by nothing, and left out."""
        joint = ["attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0", "attn.add_k_proj", "attn.add_v_proj"]
        text = ["attn.add_q_proj", "attn.to_add_out"]
        if ffn:
            joint += ["ff.net.0.proj", "ff.net.2"]
            text += ["ff_context.net.0.proj", "ff_context.net.2"]
        last = len(self.module.transformer_blocks) - 1
        return [
            f"transformer_blocks.{index}.{part}"
            for index in range(last + 1)
            for part in (joint if index == last else joint + text)
        ]

    def _call(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        text_mask = conditioning.get("text_mask")
        if text_mask is not None:
            text_mask = text_mask.bool()
        glyphs, width = conditioning.get("glyphs"), self.config["text_embed_2_dim"]
        if glyphs is not None and (glyphs.ndim != 3 or glyphs.shape[2] != width):
            raise ConditioningError(f"glyphs must be [B, L, {width}]; found {list(glyphs.shape)}.")
        glyphs_mask = conditioning.get("glyphs_mask")
        empty = {"image_latents": x_t.new_zeros(len(x_t), LATENTS.channels + 1, *x_t.shape[2:])}
        return self.module(
            concatenated(x_t, {**empty, **conditioning}, _CHANNELS),
            sigma * 1000,
            conditioning["text"],
            text_mask,
            glyphs,
            None if glyphs_mask is None else glyphs_mask.bool(),
            conditioning.get("image_embeds"),
        )
