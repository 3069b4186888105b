"""Which keys of a LoRA ComfyUI's stock loader applies to a model, told from names alone (no torch, no ComfyUI).

The loader asks, for each weight ``diffusion_model.X.weight`` of its network, for tensors whose stem is ``diffusion_model.X`` or
``lora_unet_X`` with underscores; for HunyuanVideo also for the names of that model's own files, behind ``diffusion_model.`` or
``transformer.``. Keys that nothing asks for have no effect: a line in the log is all that a user sees. Stems that only some
of the supported versions know are not counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from .key_styles import split_prefix

# The linear layers (and norms) of the networks, under ComfyUI's names.
_LAYERS = {
    "wan": r"(vace_)?blocks\.\d+\.((self|cross)_attn\.(q|k|v|o|k_img|v_img|norm_q|norm_k|norm_k_img)|ffn\.[02]|norm3)"
    r"|(time|text)_embedding\.[02]|time_projection\.1|img_emb\.proj\.[0134]|head\.head|patch_embedding",
    "hunyuan-video": r"double_blocks\.\d+\.(img|txt)_(attn\.(qkv|proj)|mod\.lin|mlp\.[02])"
    r"|single_blocks\.\d+\.(linear[12]|modulation\.lin)|(time|vector|guidance)_in\.(in|out)_layer"
    r"|txt_in\.(input_embedder|[tc]_embedder\.(in|out)_layer)|img_in\.proj|final_layer\.(linear|adaLN_modulation\.1)"
    r"|txt_in\.individual_token_refiner\.blocks\.\d+\.(self_attn\.(qkv|proj)|mlp\.[02]|adaLN_modulation\.1|norm[12])",
    "ltx-video": r"transformer_blocks\.\d+\.(attn[12]\.(to_q|to_k|to_v|to_out\.0|q_norm|k_norm)|ff\.net\.(0\.proj|2))"
    r"|adaln_single\.(linear|emb\.timestep_embedder\.linear_[12])|caption_projection\.linear_[12]|patchify_proj|proj_out",
}
_SUFFIXES = re.compile(
    r"(\.lora_up\.weight|\.lora_down\.weight|\.lora_mid\.weight|_lora\.(up|down)\.weight|\.lora\.(up|down)\.weight"
    r"|\.lora_[AB](\.default)?\.weight|\.lora_[AB]|\.lora_linear_layer\.(up|down)\.weight"
    r"|\.alpha|\.dora_scale|\.diff|\.diff_b|\.set_weight|\.[wb]_norm|\.reshape_weight)$"
)
_FILE_NAMES = (  # HunyuanVideo: in that model's files -> in ComfyUI's network
    ("_attn_qkv", "_attn.qkv"), ("_attn_proj", "_attn.proj"), ("_mod.linear", "_mod.lin"),
    ("mlp.fc1", "mlp.0"), ("mlp.fc2", "mlp.2"), (".modulation.linear", ".modulation.lin"),
)  # fmt: skip
_FILE_ONLY = (  # HunyuanVideo: renamed when the model is loaded, but not known to the LoRA loader
    ("txt_in.t_embedder.mlp.0", "txt_in.t_embedder.in_layer"), ("txt_in.t_embedder.mlp.2", "txt_in.t_embedder.out_layer"),
    ("txt_in.c_embedder.linear_1", "txt_in.c_embedder.in_layer"), ("txt_in.c_embedder.linear_2", "txt_in.c_embedder.out_layer"),
    ("_in.mlp.0", "_in.in_layer"), ("_in.mlp.2", "_in.out_layer"),
)  # fmt: skip
_FAMILY_SIGNS = {  # of modules with underscores for dots, in the original naming and in diffusers'
    "wan": r"blocks_\d+_(self_attn|cross_attn|attn1|attn2|ffn)_",
    "hunyuan-video": r"double_blocks_\d+_(img|txt)_(attn|mlp|mod)|single_transformer_blocks_\d+_(attn|proj_mlp)",
    "ltx-video": r"transformer_blocks_\d+_(attn[12]|ff_net)_",
}


def matched(keys: Iterable[str], family: str, modules: Iterable[str] | None = None) -> tuple[list[str], list[str]]:
    """Split a LoRA's keys into those that ComfyUI applies to a model and those that have no effect.

    Args:
        family: ``wan``, ``hunyuan-video`` or ``ltx-video``.
        modules: the model's layers under ComfyUI's names (``checkpoint_modules``); by default all that the family can have.
    """
    known = _asks_for(family, modules)
    applied, ignored = [], []
    for key in keys:
        suffix = _SUFFIXES.search(key)
        (applied if suffix and known(_stem(key[: suffix.start()])) else ignored).append(key)
    return applied, ignored


def family_of(keys: Iterable[str]) -> str | None:
    """The family that a LoRA or a model file is of, from its keys in any naming (also diffusers'); None if unknown."""
    names = [split_prefix(key)[1].replace(".", "_") for key in keys]
    for family, pattern in _FAMILY_SIGNS.items():
        if any(re.match(pattern, name) for name in names):
            return family
    return None


def checkpoint_modules(keys: Iterable[str]) -> set[str]:
    """Layers with a weight in a model file, under ComfyUI's names."""
    modules = set()
    for key in keys:
        if key.endswith(".weight"):
            name = re.sub(r"^(model\.diffusion_model\.|diffusion_model\.|model\.model\.)", "", key).removesuffix(
                ".weight"
            )
            if name.startswith(
                ("double_blocks.", "single_blocks.", "txt_in.", "time_in.", "vector_in.", "guidance_in.")
            ):
                for old, new in (*_FILE_ONLY, *_FILE_NAMES):
                    name = re.sub(re.escape(old) + r"(?=\.|$)", new, name)
            modules.add(name)
    return modules


def _asks_for(family: str, modules: Iterable[str] | None) -> Callable[[str], bool]:
    """Whether ComfyUI's network has a layer for a stem."""
    if modules is None:
        dotted = re.compile(_LAYERS[family])
        joined = re.compile(_LAYERS[family].replace(r"\.", "_"))
        has, has_joined = (lambda name: dotted.fullmatch(name)), (lambda name: joined.fullmatch(name))
    else:
        modules = set(modules)
        flat = {name.replace(".", "_") for name in modules}
        has, has_joined = modules.__contains__, flat.__contains__

    def known(stem: str) -> bool:
        if stem.startswith("lora_unet_"):
            return bool(has_joined(stem.removeprefix("lora_unet_")))
        prefix, _, name = stem.partition(".")
        if prefix == "diffusion_model" and has(name):
            return True
        if family != "hunyuan-video" or prefix not in ("diffusion_model", "transformer"):
            return False
        own = name
        for old, new in _FILE_NAMES:
            own = re.sub(re.escape(old) + "$", new, own)
        in_files = own
        for old, new in _FILE_NAMES:
            in_files = re.sub(re.escape(new) + "$", old, in_files)
        return in_files == name and bool(has(own))

    return known


def _stem(stem: str) -> str:
    """Wan Fun writes two underscores; the loader repairs that."""
    return stem.replace("lora_unet__", "lora_unet_", 1) if stem.startswith("lora_unet__blocks_") else stem
