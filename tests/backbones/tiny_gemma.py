"""A tiny Gemma 3 with LTX-2's projection and connector: as ComfyUI's two files, and as a diffusers folder."""

from __future__ import annotations

import json
from pathlib import Path

import tiny_ltx2
import torch
from safetensors.torch import save_file
from tiny_backbones import tiny
from tiny_text import PIECES, field

from videoalign.backbones.ltx2_names import original
from videoalign.backbones.text_ltx2 import _gemma_config

SIZES = {
    "vocab_size": 64, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 7, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 16, "query_pre_attn_scalar": 16,
}  # fmt: skip
STATES = 48 * 8  # the embeddings' and seven layers'
HEADS, LAYERS = 2, 2


def sentencepiece_file() -> bytes:
    """A unigram model with Gemma's control tokens: <pad>, <eos>, <bos>, <unk>."""
    pieces = [("<pad>", 0.0, 3), ("<eos>", 0.0, 3), ("<bos>", 0.0, 3), ("<unk>", 0.0, 2), *PIECES[3:]]
    message = b"".join(
        field(1, field(1, name.encode()) + field(2, score) + field(3, kind)) for name, score, kind in pieces
    )
    trainer = field(3, 1) + field(40, 3) + field(41, 2) + field(42, 1) + field(43, 0)
    trainer += field(46, b"<bos>") + field(47, b"<eos>")
    return message + field(2, trainer) + field(3, field(1, b"identity") + field(3, 0) + field(4, 0) + field(5, 0))


def tiny_gemma():
    """transformers' Gemma3TextModel with random weights; its sixth layer sees all tokens."""
    import transformers

    torch.manual_seed(0)
    module = transformers.Gemma3TextModel(_gemma_config(SIZES)).eval().requires_grad_(False)
    for parameter in module.parameters():
        parameter.copy_(torch.randn(parameter.shape) * (0.2 if parameter.ndim == 2 else 0.1))
    return module


def projection(kind: str) -> dict[str, torch.Tensor]:
    """The projection's tensors under ComfyUI's names, for both streams."""
    network, generator = tiny(kind), torch.Generator().manual_seed(3)
    video, audio = network.text_width, network.text_widths[1] - network.text_width

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) * STATES**-0.5

    if kind == "ltx-2":
        return {"text_embedding_projection.aggregate_embed.weight": noise(video, STATES)}
    return {
        f"text_embedding_projection.{stream}_aggregate_embed.{leaf}": noise(
            width, *([STATES] if leaf == "weight" else [])
        )
        for stream, width in (("video", video), ("audio", audio))
        for leaf in ("weight", "bias")
    }


def save_files(folder: Path, kind: str) -> str:
    """ComfyUI's file of Gemma, and a checkpoint's text parts; returns what the option names them by."""
    gemma = {f"model.{name}": tensor for name, tensor in tiny_gemma().state_dict().items()}
    gemma["spiece_model"] = torch.tensor(list(sentencepiece_file()), dtype=torch.uint8)
    gemma["vision_model.post_layernorm.weight"] = torch.ones(2)
    save_file(gemma, folder / "gemma.safetensors", {"format": "pt"})
    parts = {f"model.diffusion_model.{name}": tensor for name, tensor in _connectors(kind).items()}
    save_file(parts | projection(kind), folder / f"{kind}.safetensors", tiny_ltx2.metadata(tiny(kind), LAYERS, HEADS))
    return f"{folder / 'gemma.safetensors'}+{folder / f'{kind}.safetensors'}"


def save_folder(folder: Path, kind: str) -> Path:
    """The same as a diffusers pipeline."""
    network = tiny(kind)
    tiny_gemma().save_pretrained(folder / "text_encoder")
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "tokenizer" / "tokenizer.model").write_bytes(sentencepiece_file())
    renamed = {
        "aggregate_embed": "text_proj_in",
        "video_aggregate_embed": "video_text_proj_in",
        "audio_aggregate_embed": "audio_text_proj_in",
    }
    state = {}
    for name, tensor in projection(kind).items():
        _, part, leaf = name.split(".")
        state[f"{renamed[part]}.{leaf}"] = tensor
    theirs = {original(name): name for name in _network_names(kind)}
    for name, tensor in _connectors(kind).items():
        stream, _, rest = name.partition("_embeddings_connector.")
        state[f"{stream}_connector.{theirs[rest.replace('transformer_1d_blocks', 'transformer_blocks')]}"] = tensor
    connectors = folder / "connectors"
    connectors.mkdir()
    save_file(state, connectors / "diffusion_pytorch_model.safetensors")
    config = {
        "caption_channels": 48, "text_proj_in_factor": 8, "video_connector_num_attention_heads": HEADS,
        "video_connector_attention_head_dim": network.text_width // HEADS, "video_connector_num_layers": LAYERS,
        "audio_connector_num_attention_heads": HEADS, "audio_connector_num_layers": LAYERS, "rope_type": "split",
        "audio_connector_attention_head_dim": (network.text_widths[1] - network.text_width) // HEADS,
        "video_gated_attn": kind == "ltx-2.3", "audio_gated_attn": kind == "ltx-2.3",
        "per_modality_projections": kind == "ltx-2.3", "proj_bias": kind == "ltx-2.3",
        "video_hidden_dim": network.text_width, "audio_hidden_dim": network.text_widths[1] - network.text_width,
    }  # fmt: skip
    (connectors / "config.json").write_text(json.dumps({"_class_name": "LTX2TextConnectors", **config}))
    return folder


def _connectors(kind: str) -> dict[str, torch.Tensor]:
    return tiny_ltx2.connectors(tiny(kind), LAYERS, HEADS)


def _network_names(kind: str) -> list[str]:
    from diffusers.pipelines.ltx2.connectors import LTX2ConnectorTransformer1d

    return list(LTX2ConnectorTransformer1d(HEADS, 16, LAYERS, gated_attention=kind == "ltx-2.3").state_dict())
