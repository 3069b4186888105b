"""Tiny random networks of every family, and their weights in the formats that users have."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import diffusers
import tiny_ltx2
import torch
from safetensors.torch import save_file

from videoalign.backbones.backbone import Backbone
from videoalign.backbones.loading import build_backbone

WAN = {
    "num_attention_heads": 1, "attention_head_dim": 128, "in_channels": 16, "out_channels": 16, "text_dim": 4096,
    "freq_dim": 256, "ffn_dim": 192, "num_layers": 3,
}  # fmt: skip
IMAGE = {"in_channels": 36, "image_dim": 1280, "added_kv_proj_dim": 128}
HUNYUAN = {
    "num_attention_heads": 1, "attention_head_dim": 128, "num_layers": 2, "num_single_layers": 2, "text_embed_dim": 64,
    "pooled_projection_dim": 768,
}  # fmt: skip
HUNYUAN15 = {
    "num_attention_heads": 1, "attention_head_dim": 128, "num_layers": 3, "text_embed_dim": 64, "task_type": "t2v",
}  # fmt: skip
LTX = {
    "num_attention_heads": 32, "attention_head_dim": 4, "cross_attention_dim": 128, "num_layers": 3,
    "caption_channels": 4096,
}  # fmt: skip
LTX2 = {
    "num_attention_heads": 32, "attention_head_dim": 4, "cross_attention_dim": 128, "audio_num_attention_heads": 32,
    "audio_attention_head_dim": 2, "audio_cross_attention_dim": 64, "num_layers": 3, "caption_channels": 48, "rope_type": "split",
}  # fmt: skip
LTX23 = {"gated_attn": True, "audio_gated_attn": True, "cross_attn_mod": True, "audio_cross_attn_mod": True,
         "use_prompt_embeddings": False, "caption_channels": 128}  # fmt: skip
CONFIGS: dict[str, tuple[str, dict]] = {
    "wan-t2v": ("wan", WAN),
    "wan-i2v": ("wan", WAN | IMAGE),
    "wan-flf2v": ("wan", WAN | IMAGE | {"pos_embed_seq_len": 514}),
    "wan22-i2v": ("wan", WAN | {"in_channels": 36}),
    "wan22-ti2v": ("wan", WAN | {"in_channels": 48, "out_channels": 48}),
    "hunyuan-video": ("hunyuan-video", HUNYUAN),
    "hunyuan-video-i2v": ("hunyuan-video", HUNYUAN | {"in_channels": 33, "guidance_embeds": False}),
    "hunyuan-video-1.5": ("hunyuan-video-1.5", HUNYUAN15),
    "ltx-2": ("ltx-2", LTX2),
    "ltx-2.3": ("ltx-2", LTX2 | LTX23),
    "ltx-video": ("ltx-video", LTX),
    "ltx-video-causal": ("ltx-video", LTX | {"causal_temporal_positioning": True}),
}


def tiny(name: str, seed: int = 0, **changes) -> Backbone:
    """A network of one of CONFIGS, with ``changes`` to it, whose outputs are of order one."""
    family, config = CONFIGS[name]
    backbone = build_backbone(family, config | changes)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, parameter in backbone.module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "scale_shift_table" in key:
                parameter.copy_(noise * 0.3)
            elif parameter.ndim > 1:
                parameter.copy_(noise / math.sqrt(parameter[0].numel()))
            else:
                parameter.copy_(noise * 0.1 + key.endswith("weight"))
    return backbone


def inputs(backbone: Backbone, batch: int = 2, size=(3, 8, 6), tokens: int = 7, seed: int = 1) -> tuple:
    """x_t, sigma and a conditioning with all that the network needs."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    config = backbone.config
    conditioning = {"text": noise(batch, tokens, backbone.text_width)}
    if "image_latents" in backbone.needs:
        conditioning["image_latents"] = noise(batch, config["in_channels"] - backbone.latent_format.channels, *size)
    if "image_embeds" in backbone.needs:
        conditioning["image_embeds"] = noise(batch, config.get("pos_embed_seq_len") or 257, config["image_dim"])
    if "pooled" in backbone.needs:
        conditioning["pooled"] = noise(batch, config["pooled_projection_dim"])
    if "glyphs" in backbone.family.conditioning:
        conditioning["glyphs"] = noise(batch, 5, config["text_embed_2_dim"])
    if config.get("guidance_embeds"):
        conditioning["guidance"] = torch.full((batch,), 6.0)
    return noise(batch, backbone.latent_format.channels, *size), torch.linspace(0.3, 0.9, batch), conditioning


def original_state(backbone: Backbone) -> dict[str, torch.Tensor]:
    """The weights under the names of ComfyUI's network, fused where that has fused layers."""
    rows: dict[str, list[tuple[int, torch.Tensor]]] = {}
    for key, tensor in backbone.module.state_dict().items():
        module, _, leaf = key.rpartition(".")
        named = leaf in ("weight", "bias")
        start = 0
        for name, own in backbone.original_rows(module if named else key, backbone.config):
            name = f"{name}.{leaf}" if named else name
            piece = tensor if own is None else tensor[start : start + own[1] - own[0]]
            start += len(piece)
            rows.setdefault(name, []).append((own[0] if own else 0, piece))
    return {
        name: torch.cat([piece for _, piece in sorted(own, key=lambda row: row[0])]).contiguous()
        for name, own in rows.items()
    }


def beside(backbone: Backbone) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata that a family's files have besides the network that is built."""
    if backbone.name != "ltx-2":
        return {}, {}
    return tiny_ltx2.sound(backbone) | tiny_ltx2.connectors(backbone), tiny_ltx2.metadata(backbone)


def whole_module(backbone: Backbone) -> torch.nn.Module:
    """What a diffusers folder has: a network of diffusers' own class, of LTX-2 with its sound."""
    if backbone.name == "ltx-2":
        return tiny_ltx2.whole_network(backbone)
    kind = getattr(diffusers, backbone.diffusers_class)
    if type(backbone.module) is kind:
        return backbone.module
    theirs = kind.from_config(backbone.module.config)
    theirs.load_state_dict(backbone.module.state_dict())
    return theirs


def published_name(name: str) -> str:
    """A name of ComfyUI's network as the files for it have it.

    Its HunyuanVideo once named the norms' weights ``scale``, and the files kept that: ComfyUI 0.3.64 knows no other name and
    would leave such a norm uninitialised, newer ones rename it as they load.
    """
    return re.sub(r"(query_norm|key_norm)\.weight$", r"\1.scale", name)


def save_single(
    backbone: Backbone, path: Path, dtype: torch.dtype = torch.float32, prefix: str = "", metadata: dict | None = None
) -> Path:
    """One file as they are published for ComfyUI."""
    if backbone.config.get("causal_temporal_positioning"):
        metadata = {"config": json.dumps({"transformer": {"causal_temporal_positioning": True}})}
    tensors, described = beside(backbone)
    state = original_state(backbone) | tensors
    metadata = described | (metadata or {}) or None
    state = {prefix + published_name(name): tensor.to(dtype) for name, tensor in state.items()}
    save_file(state, path, metadata=metadata)
    return path


def save_scaled_fp8(backbone: Backbone, path: Path, style: str) -> tuple[Path, dict[str, torch.Tensor]]:
    """One of ComfyUI's scaled fp8 forms, ``scale_weight``, ``comfy_quant`` or ``metadata``; and what its weights mean."""
    state, meant, layers = {}, {}, {}
    tensors, described = beside(backbone)
    for name, tensor in (original_state(backbone) | tensors).items():
        state[name] = meant[name] = tensor
        if tensor.ndim != 2 or not name.endswith(".weight") or "embedding.weight" in name:  # a table is no layer
            continue
        module = name.removesuffix(".weight")
        scale = tensor.abs().max() / 448
        state[name] = (tensor / scale).to(torch.float8_e4m3fn)
        meant[name] = state[name].float() * scale
        state[module + (".scale_weight" if style == "scale_weight" else ".weight_scale")] = scale
        layers[module] = {"format": "float8_e4m3fn"}
        if style == "comfy_quant":
            state[f"{module}.comfy_quant"] = torch.tensor(list(json.dumps(layers[module]).encode()), dtype=torch.uint8)
        elif style == "scale_weight":
            state[f"{module}.scale_input"] = torch.tensor(1.0)
    if style == "scale_weight":
        state["scaled_fp8"] = torch.zeros(2, dtype=torch.float8_e4m3fn)
    if style == "metadata":
        described["_quantization_metadata"] = json.dumps({"layers": layers})
    save_file(state, path, metadata=described or None)
    return path, meant


def tencent_name(name: str) -> str:
    """A name of ComfyUI's HunyuanVideo as Tencent's files have it."""
    for own, other in (
        ("txt_in.t_embedder.in_layer", "txt_in.t_embedder.mlp.0"), ("txt_in.t_embedder.out_layer", "txt_in.t_embedder.mlp.2"),
        ("txt_in.c_embedder.in_layer", "txt_in.c_embedder.linear_1"), ("txt_in.c_embedder.out_layer", "txt_in.c_embedder.linear_2"),
        ("time_in.in_layer", "time_in.mlp.0"), ("time_in.out_layer", "time_in.mlp.2"),
        ("guidance_in.in_layer", "guidance_in.mlp.0"), ("guidance_in.out_layer", "guidance_in.mlp.2"),
        ("_mod.lin.", "_mod.linear."), (".modulation.lin.", ".modulation.linear."), ("self_attn.qkv", "self_attn_qkv"),
        ("self_attn.proj", "self_attn_proj"), ("_attn.qkv", "_attn_qkv"), ("_attn.proj", "_attn_proj"),
        ("_attn.norm.query_norm", "_attn_q_norm"), ("_attn.norm.key_norm", "_attn_k_norm"), (".norm.query_norm", ".q_norm"),
        (".norm.key_norm", ".k_norm"), ("img_mlp.0", "img_mlp.fc1"), ("img_mlp.2", "img_mlp.fc2"), ("txt_mlp.0", "txt_mlp.fc1"),
        ("txt_mlp.2", "txt_mlp.fc2"),
    ):  # fmt: skip
        name = name.replace(own, other)
    if "individual_token_refiner" in name:
        name = name.replace("mlp.0", "mlp.fc1").replace("mlp.2", "mlp.fc2")
    return name
