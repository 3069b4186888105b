"""What an LTX-2 file has beside the video stream of ``tiny_backbones``: the sound, the text's connectors, and the metadata."""

from __future__ import annotations

import json

import torch

from videoalign.backbones.backbone import Backbone
from videoalign.backbones.ltx2_names import original

_RENAMED = (
    ("audio_prompt_adaln.", "audio_prompt_adaln_single."), ("audio_time_embed.", "audio_adaln_single."),
    ("audio_proj_in.", "audio_patchify_proj."), ("av_cross_attn_video_scale_shift.", "av_ca_video_scale_shift_adaln_single."),
    ("av_cross_attn_video_a2v_gate.", "av_ca_a2v_gate_adaln_single."),
    ("av_cross_attn_audio_scale_shift.", "av_ca_audio_scale_shift_adaln_single."),
    ("av_cross_attn_audio_v2a_gate.", "av_ca_v2a_gate_adaln_single."),
    ("video_a2v_cross_attn_scale_shift_table", "scale_shift_table_a2v_ca_video"),
    ("audio_a2v_cross_attn_scale_shift_table", "scale_shift_table_a2v_ca_audio"),
)  # fmt: skip


def whole_network(backbone: Backbone, seed: int = 5) -> torch.nn.Module:
    """diffusers' own network with the backbone's video stream, and a random sound."""
    from diffusers import LTX2VideoTransformer3DModel

    config = {key: value for key, value in backbone.config.items() if not key.startswith("_")}
    whole = LTX2VideoTransformer3DModel(**config).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for parameter in whole.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    missing, unexpected = whole.load_state_dict(backbone.module.state_dict(), strict=False)
    assert missing and not unexpected
    return whole


def sound(backbone: Backbone) -> dict[str, torch.Tensor]:
    """The tensors of the sound under ComfyUI's names, random."""
    video = backbone.module.state_dict()
    named = {}
    for name, tensor in whole_network(backbone).state_dict().items():
        if name not in video:
            for ours, theirs in _RENAMED:
                name = name.replace(ours, theirs)
            named[original(name)] = tensor
    return named


def connectors(backbone: Backbone, layers: int = 1, heads: int = 2, seed: int = 6) -> dict[str, torch.Tensor]:
    """The text's connectors under ComfyUI's names, random, for both streams."""
    from diffusers.pipelines.ltx2.connectors import LTX2ConnectorTransformer1d

    audio = backbone.text_widths[1] - backbone.text_width
    generator = torch.Generator().manual_seed(seed)
    named = {}
    for kind, width in (("video", backbone.text_width), ("audio", audio)):
        module = LTX2ConnectorTransformer1d(
            heads, width // heads, layers, rope_type="split", gated_attention=backbone.config["gated_attn"]
        )
        for name, tensor in module.state_dict().items():
            name = original(name).replace("transformer_blocks", "transformer_1d_blocks")
            noise = torch.randn(tensor.shape, generator=generator)
            scale = tensor.shape[-1] ** -0.5 if tensor.ndim == 2 and "registers" not in name else 0.2
            named[f"{kind}_embeddings_connector.{name}"] = scale * noise + name.endswith("norm.weight")
    return named


def metadata(backbone: Backbone, layers: int = 1, heads: int = 2) -> dict[str, str]:
    """What the file says about its network, in its authors' words."""
    config = backbone.config
    audio = backbone.text_widths[1] - backbone.text_width
    transformer = {
        "num_attention_heads": config["num_attention_heads"], "attention_head_dim": config["attention_head_dim"],
        "cross_attention_dim": config["cross_attention_dim"], "audio_num_attention_heads": config["audio_num_attention_heads"],
        "audio_attention_head_dim": config["audio_attention_head_dim"],
        "audio_cross_attention_dim": config["audio_cross_attention_dim"], "caption_channels": config["caption_channels"],
        "rope_type": config["rope_type"], "frequencies_precision": "float64" if config["rope_double_precision"] else "float32",
        "causal_temporal_positioning": True, "use_middle_indices_grid": True, "timestep_scale_multiplier": 1000,
        "positional_embedding_max_pos": [20, 2048, 2048], "av_ca_timestep_scale_multiplier": 1000.0,
        "apply_gated_attention": config["gated_attn"], "cross_attention_adaln": config["cross_attn_mod"],
        "caption_proj_before_connector": not config["use_prompt_embeddings"], "caption_projection_first_linear": False,
        "connector_num_layers": layers, "connector_num_attention_heads": heads, "audio_connector_num_attention_heads": heads,
        "connector_attention_head_dim": backbone.text_width // heads, "audio_connector_attention_head_dim": audio // heads,
        "connector_apply_gated_attention": config["gated_attn"],
    }  # fmt: skip
    return {"config": json.dumps({"transformer": transformer})}
