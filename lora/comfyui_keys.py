"""Which keys of a LoRA ComfyUI's stock loader applies to a model, told from names alone (no torch, no ComfyUI).

The loader asks, for each weight ``diffusion_model.X.weight`` of its network, for tensors whose stem is ``diffusion_model.X`` or
``lora_unet_X`` with underscores; for a family whose files have names of their own (HunyuanVideo) also for those, behind
``diffusion_model.`` or ``transformer.``. Keys that nothing asks for have no effect: a line in the log is all that a user sees. Stems that only some
of the supported versions know are not counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ..backbones.families import families, family
from .key_styles import split_prefix

_SUFFIXES = re.compile(
    r"(\.lora_up\.weight|\.lora_down\.weight|\.lora_mid\.weight|_lora\.(up|down)\.weight|\.lora\.(up|down)\.weight"
    r"|\.lora_[AB](\.default)?\.weight|\.lora_[AB]|\.lora_linear_layer\.(up|down)\.weight"
    r"|\.alpha|\.dora_scale|\.diff|\.diff_b|\.set_weight|\.[wb]_norm|\.reshape_weight)$"
)


def matched(
    keys: Iterable[str], model_family: str, modules: Iterable[str] | None = None
) -> tuple[list[str], list[str]]:
    """Split a LoRA's keys into those that ComfyUI applies to a model and those that have no effect.

    Args:
        model_family: name of the model's family.
        modules: the model's layers under ComfyUI's names (``checkpoint_modules``); by default all that the family can have.
    """
    known = _asks_for(model_family, modules)
    applied, ignored = [], []
    for key in keys:
        suffix = _SUFFIXES.search(key)
        (applied if suffix and known(_stem(key[: suffix.start()])) else ignored).append(key)
    return applied, ignored


def family_of(keys: Iterable[str]) -> str | None:
    """The family that a LoRA or a model file is of, from its keys in any naming (also diffusers'); None if unknown."""
    names = [split_prefix(key)[1].replace(".", "_") for key in keys]
    for known in families():
        if any(re.match(known.lora_signs, name) for name in names):
            return known.name
    return None


def checkpoint_modules(keys: Iterable[str]) -> set[str]:
    """Layers with a weight in a model file, under ComfyUI's names."""
    keys = list(keys)
    told = family_of(keys)
    file_names = None if told is None else family(told).file_names
    modules = set()
    for key in keys:
        if key.endswith(".weight"):
            name = re.sub(r"^(model\.diffusion_model\.|diffusion_model\.|model\.model\.)", "", key)
            name = name.removesuffix(".weight")
            modules.add(name if file_names is None else file_names.to_network(name))
    return modules


def _asks_for(name: str, modules: Iterable[str] | None) -> Callable[[str], bool]:
    """Whether ComfyUI's network of a family has a layer for a stem."""
    asked = family(name)
    if modules is None:
        dotted = re.compile(asked.lora_layers)
        joined = re.compile(asked.lora_layers.replace(r"\.", "_"))
        has, has_joined = (lambda layer: dotted.fullmatch(layer)), (lambda layer: joined.fullmatch(layer))
    else:
        modules = set(modules)
        flat = {layer.replace(".", "_") for layer in modules}
        has, has_joined = modules.__contains__, flat.__contains__

    def known(stem: str) -> bool:
        if stem.startswith("lora_unet_"):
            return bool(has_joined(stem.removeprefix("lora_unet_")))
        prefix, _, layer = stem.partition(".")
        if prefix == "diffusion_model" and has(layer):
            return True
        if asked.file_names is None or prefix not in ("diffusion_model", "transformer"):
            return False
        original = asked.file_names.from_lora(layer)
        return original is not None and bool(has(original))

    return known


def _stem(stem: str) -> str:
    """Wan Fun writes two underscores; the loader repairs that."""
    return stem.replace("lora_unet__", "lora_unet_", 1) if stem.startswith("lora_unet__blocks_") else stem
