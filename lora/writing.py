"""Write a LoRA that ComfyUI's stock loader applies completely, at strength 1 exactly as it was trained.

Keys: ``diffusion_model.<original module>.lora_A.weight``, ``.lora_B.weight`` and the scalar ``.alpha`` (DESIGN.md section 5), or
``.alpha``'s scale in B (``Family.lora_alphas``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..errors import LoraFileError, listed
from ..files.tensor_file import save_tensors
from .adapters import LoraWeights, adapter_weights, module_name
from .fused import stack
from .metadata import PREFIX, LoraMetadata, to_strings
from .module_names import ModuleNames

if TYPE_CHECKING:
    from ..backbones.backbone import Backbone

STACKED = f"{PREFIX}stacked"


def save_lora(
    path: Path | str,
    backbone: Backbone,
    adapter: nn.Module | Mapping[str, LoraWeights | tuple[torch.Tensor, torch.Tensor, float]] | None = None,
    metadata: LoraMetadata | None = None,
    dtype: torch.dtype = torch.bfloat16,
    overwrite: bool = False,
) -> Path:
    """Write the LoRA of ``backbone``, whole or not at all; returns the file's path.

    Args:
        adapter: a module with peft's layers, or module name (diffusers') -> (A, B, alpha); ``backbone.module`` by default.
        dtype: of A and B: float16, bfloat16 or float32. bfloat16 keeps the small values that a low learning rate leaves in B,
            which float16 rounds away below 6e-8; float32 is the exact one to continue from.
        overwrite: replace a file that is there.

    Raises:
        LoraFileError: the file exists, cannot be written, or an adapter is not finite or fits no layer of the backbone.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise LoraFileError(f"{path} exists. Choose another name, or allow overwriting.")
    adapter = backbone.module if adapter is None else adapter
    weights = adapter_weights(adapter) if isinstance(adapter, nn.Module) else _checked(adapter)
    if not backbone.family.lora_alphas:
        weights = {name: LoraWeights(lora.A, lora.B.float() * lora.scale, lora.rank) for name, lora in weights.items()}
    tensors, stacked = _tensors(ModuleNames(backbone), weights, dtype)
    strings = to_strings(
        metadata or LoraMetadata(),
        backbone.family,
        backbone.latent_format.name,
        path.stem,
        [lora.rank for lora in weights.values()],
        [lora.alpha for lora in weights.values()],
    )
    if stacked:
        strings[STACKED] = json.dumps(stacked)
    save_tensors(path, tensors, {"format": "pt", **strings}, LoraFileError)
    return path


def _checked(adapter: Mapping) -> dict[str, LoraWeights]:
    weights = {
        module_name(name): LoraWeights(down.detach().cpu(), up.detach().cpu(), float(alpha))
        for name, (down, up, alpha) in adapter.items()
    }
    if not weights:
        raise LoraFileError("There is no LoRA to save: no module was given.")
    return weights


def _tensors(
    names: ModuleNames, weights: dict[str, LoraWeights], dtype: torch.dtype
) -> tuple[dict[str, torch.Tensor], dict[str, list[tuple[str, int]]]]:
    """The file's tensors, and which parts the fused layers are stacked from."""
    unknown = [name for name in weights if name not in names.features]
    if unknown:
        raise LoraFileError(
            f"{names.family.name} has no linear layer {listed(unknown)}: this LoRA belongs to another model."
        )
    tensors, stacked = {}, {}
    for original, parts in names.parts.items():
        trained = [name for name in parts if name in weights]
        if not trained:
            continue
        for name in trained:
            _check(name, weights[name], names.features[name])
        whole = [(0, names.height[original])]
        if len(trained) == 1 and parts[trained[0]] == whole:
            lora = weights[trained[0]]
        else:
            lora = stack(
                [
                    (parts[name], LoraWeights(weights[name].A.float(), weights[name].B.float(), weights[name].alpha))
                    for name in trained
                ],
                names.height[original],
            )
            stacked[original] = [(name, weights[name].rank) for name in trained]
        key = f"diffusion_model.{original}"
        tensors[f"{key}.lora_A.weight"] = lora.A.to(dtype, copy=True).contiguous()
        tensors[f"{key}.lora_B.weight"] = lora.B.to(dtype, copy=True).contiguous()
        if names.family.lora_alphas:
            tensors[f"{key}.alpha"] = torch.tensor(lora.alpha, dtype=torch.float32)
    return tensors, stacked


def _check(name: str, lora: LoraWeights, features: tuple[int, int]) -> None:
    if lora.A.shape[1] != features[0] or lora.B.shape[0] != features[1] or lora.A.shape[0] != lora.B.shape[1]:
        raise LoraFileError(
            f"{name}: A {tuple(lora.A.shape)} and B {tuple(lora.B.shape)} do not fit a layer of {features[0]} -> {features[1]} features."
        )
    if not (lora.A.isfinite().all() and lora.B.isfinite().all()):
        raise LoraFileError(
            f"{name}: the LoRA is not finite (NaN or infinity). It is not saved; go back to an earlier checkpoint."
        )
