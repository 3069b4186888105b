"""Qwen2.5's text model from a ComfyUI file, and its tokenizer. Of Qwen2.5-VL the eyes are left out.

Without pictures the three axes of Qwen2.5-VL's positions are one and the same: it is Qwen2's network.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import WeightsError
from .meta_device import on_meta
from .weight_files import WeightFiles, configured, fill_module

_HEAD = 128
_THETA = 1e6
_IN_COMFYUI = Path("comfy") / "text_encoders" / "qwen25_tokenizer"
_FILES = ("tokenizer.json", "vocab.json")  # either will do; the second with merges.txt


def qwen(files: WeightFiles, dtype: torch.dtype) -> nn.Module:
    """transformers' Qwen2 with the tensors ``model.*`` of a file.

    Raises:
        WeightsError: it is damaged.
    """
    import transformers

    shapes, layer = files.shapes, "model.layers.0."
    with configured(files.name):
        vocabulary, width = shapes["model.embed_tokens.weight"]
        config = _config(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=shapes[f"{layer}mlp.gate_proj.weight"][0],
            num_hidden_layers=1 + max(int(name.split(".")[2]) for name in shapes if name.startswith("model.layers.")),
            num_attention_heads=shapes[f"{layer}self_attn.q_proj.weight"][0] // _HEAD,
            num_key_value_heads=shapes[f"{layer}self_attn.k_proj.weight"][0] // _HEAD,
        )
        with on_meta():
            module = transformers.Qwen2Model(config)
        module.rotary_emb = type(module.rotary_emb)(config=config)  # its table is no tensor of the file
    fill_module(module, {name: files.read(f"model.{name}", dtype) for name in module.state_dict()}, files.name)
    return module


def _config(**sizes: int) -> Any:
    from transformers import Qwen2Config

    common = {"rms_norm_eps": 1e-6, "max_position_embeddings": 128000, **sizes}
    if "rope_parameters" in inspect.signature(Qwen2Config.__init__).parameters:  # transformers 5
        return Qwen2Config(**common, rope_parameters={"rope_type": "default", "rope_theta": _THETA})
    return Qwen2Config(**common, rope_theta=_THETA)


def tokenizer_near(files: WeightFiles, folder: Path | str | None) -> Path:
    """The folder of a file's tokenizer: the given one, one beside the file, or ComfyUI's.

    Raises:
        WeightsError: there is none.
    """
    file = files.paths[0]
    near = [file.with_suffix(""), file.parent / "tokenizer", file.parent / _IN_COMFYUI.name]
    near += [parent / _IN_COMFYUI for parent in file.absolute().parents if (parent / _IN_COMFYUI).is_dir()]
    candidates = near if folder is None else [Path(folder)]
    for candidate in candidates:
        if any((candidate / name).is_file() for name in _FILES):
            return candidate
    raise WeightsError(
        f"{files.name} carries no tokenizer, and there is none in {', '.join(map(str, candidates))}. Put tokenizer.json, or vocab.json and "
        f"merges.txt, of Qwen2.5 into {candidates[0]} (ComfyUI has it in {_IN_COMFYUI})."
    )


def qwen_tokenizer(folder: Path) -> Any:
    """transformers' tokenizer of a folder.

    Raises:
        WeightsError: it is missing or damaged.
    """
    import transformers

    try:
        return transformers.Qwen2TokenizerFast.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # tokenizers raises nothing more specific
        raise WeightsError(f"{folder}: its tokenizer cannot be read ({error}). Copy or download it again.") from error
