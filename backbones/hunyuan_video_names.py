"""HunyuanVideo's layers: diffusers' name -> rows of a layer of ComfyUI's network; Tencent's names -> ComfyUI's.

The original fuses q, k and v of a double block, and q, k, v and the MLP's first layer of a single block.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .renaming import FileNames, Renames

_PARTS = {"q": 0, "k": 1, "v": 2}
_FUSED = (
    (re.compile(r"transformer_blocks\.(\d+)\.attn\.to_([qkv])"), r"double_blocks.\1.img_attn.qkv"),
    (re.compile(r"transformer_blocks\.(\d+)\.attn\.add_([qkv])_proj"), r"double_blocks.\1.txt_attn.qkv"),
    (re.compile(r"single_transformer_blocks\.(\d+)\.attn\.to_([qkv])"), r"single_blocks.\1.linear1"),
    (
        re.compile(r"context_embedder\.token_refiner\.refiner_blocks\.(\d+)\.attn\.to_([qkv])"),
        r"txt_in.individual_token_refiner.blocks.\1.self_attn.qkv",
    ),
)
_MLP = re.compile(r"single_transformer_blocks\.(\d+)\.proj_mlp")

_original = Renames([
    (r"^x_embedder", "img_in"),
    (r"^context_embedder\.proj_in", "txt_in.input_embedder"),
    (r"^context_embedder\.time_text_embed\.timestep_embedder", "txt_in.t_embedder"),
    (r"^context_embedder\.time_text_embed\.text_embedder", "txt_in.c_embedder"),
    (r"^context_embedder\.token_refiner\.refiner_blocks", "txt_in.individual_token_refiner.blocks"),
    (r"^time_text_embed\.timestep_embedder", "time_in"),
    (r"^time_text_embed\.guidance_embedder", "guidance_in"),
    (r"^time_text_embed\.text_embedder", "vector_in"),
    (r"(t_embedder|c_embedder|time_in|guidance_in|vector_in)\.linear_1", r"\1.in_layer"),
    (r"(t_embedder|c_embedder|time_in|guidance_in|vector_in)\.linear_2", r"\1.out_layer"),
    (r"^norm_out\.linear", "final_layer.adaLN_modulation.1"),
    (r"^proj_out", "final_layer.linear"),
    (r"^transformer_blocks", "double_blocks"),
    (r"^single_transformer_blocks", "single_blocks"),
    (r"(double_blocks\.\d+)\.norm1\.linear", r"\1.img_mod.lin"),
    (r"(double_blocks\.\d+)\.norm1_context\.linear", r"\1.txt_mod.lin"),
    (r"(double_blocks\.\d+)\.attn\.norm_q", r"\1.img_attn.norm.query_norm"),
    (r"(double_blocks\.\d+)\.attn\.norm_k", r"\1.img_attn.norm.key_norm"),
    (r"(double_blocks\.\d+)\.attn\.norm_added_q", r"\1.txt_attn.norm.query_norm"),
    (r"(double_blocks\.\d+)\.attn\.norm_added_k", r"\1.txt_attn.norm.key_norm"),
    (r"(double_blocks\.\d+)\.attn\.to_out\.0", r"\1.img_attn.proj"),
    (r"(double_blocks\.\d+)\.attn\.to_add_out", r"\1.txt_attn.proj"),
    (r"(double_blocks\.\d+)\.ff", r"\1.img_mlp"),
    (r"(double_blocks\.\d+)\.ff_context", r"\1.txt_mlp"),
    (r"(single_blocks\.\d+)\.attn\.norm_q", r"\1.norm.query_norm"),
    (r"(single_blocks\.\d+)\.attn\.norm_k", r"\1.norm.key_norm"),
    (r"(single_blocks\.\d+)\.norm\.linear", r"\1.modulation.lin"),
    (r"(single_blocks\.\d+)\.proj_out", r"\1.linear2"),
    (r"(individual_token_refiner\.blocks\.\d+)\.attn\.to_out\.0", r"\1.self_attn.proj"),
    (r"(individual_token_refiner\.blocks\.\d+)\.norm_out\.linear", r"\1.adaLN_modulation.1"),
    (r"(individual_token_refiner\.blocks\.\d+)\.ff", r"\1.mlp"),
    (r"((?:img_|txt_|)mlp)\.net\.0\.proj", r"\1.0"),
    (r"((?:img_|txt_|)mlp)\.net\.2", r"\1.2"),
])  # fmt: skip


def original_rows(name: str, hidden: int, mlp: int) -> list[tuple[str, tuple[int, int] | None]]:
    """Where a diffusers module lies; ``hidden`` and ``mlp`` are the widths of the tokens and of the single blocks' MLP."""
    for pattern, original in _FUSED:
        if match := pattern.fullmatch(name):
            start = _PARTS[match[2]] * hidden
            return [(match.expand(original), (start, start + hidden))]
    if match := _MLP.fullmatch(name):
        return [(match.expand(r"single_blocks.\1.linear1"), (3 * hidden, 3 * hidden + mlp))]
    if name == "norm_out.linear":  # diffusers: scale, then shift; the original: shift, then scale
        return [(_original(name), (hidden, 2 * hidden)), (_original(name), (0, hidden))]
    return [(_original(name), None)]


FILE_NAMES = FileNames(
    (
        ("txt_in.t_embedder.mlp.0", "txt_in.t_embedder.in_layer", False),
        ("txt_in.t_embedder.mlp.2", "txt_in.t_embedder.out_layer", False),
        ("txt_in.c_embedder.linear_1", "txt_in.c_embedder.in_layer", False),
        ("txt_in.c_embedder.linear_2", "txt_in.c_embedder.out_layer", False),
        ("_in.mlp.0", "_in.in_layer", False),
        ("_in.mlp.2", "_in.out_layer", False),
        ("_mod.linear", "_mod.lin", True),
        (".modulation.linear", ".modulation.lin", True),
        ("_attn_qkv", "_attn.qkv", True),
        ("_attn_proj", "_attn.proj", True),
        ("_attn_q_norm", "_attn.norm.query_norm", False),
        ("_attn_k_norm", "_attn.norm.key_norm", False),
        (".q_norm", ".norm.query_norm", False),
        (".k_norm", ".norm.key_norm", False),
        ("mlp.fc1", "mlp.0", True),
        ("mlp.fc2", "mlp.2", True),
    ),
    tensors=((r"(query_norm|key_norm)\.scale$", r"\1.weight"),),
)
"""Layers in Tencent's files, in ComfyUI's network, and whether a LoRA may have the former."""


VARIANTS = {
    "vision_in.proj.0.weight": "damaged HunyuanVideo 1.5",
    "byt5_in.fc1.weight": "HunyuanImage",
    "time_r_in.in_layer.weight": "mean-flow",
}
"""A tensor that gives a variant away which diffusers' HunyuanVideoTransformer3DModel cannot be."""


def block_count(shapes: Mapping[str, tuple[int, ...]], prefix: str) -> int:
    """Blocks of the list ``prefix`` of a file.

    Raises:
        KeyError: there is none.
    """
    numbers = [int(key[len(prefix):].split(".")[0]) for key in shapes if key.startswith(prefix)]  # fmt: skip
    if not numbers:
        raise KeyError(f"{prefix}0")
    return 1 + max(numbers)
