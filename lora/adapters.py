"""LoRA weights in memory: taken from peft's layers, and put back into them.

peft computes ``W x + (alpha / rank) B A x`` with A [rank, in] and B [out, rank]; so does ComfyUI.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from ..errors import LoraFileError, listed

if TYPE_CHECKING:
    import peft


class LoraWeights(NamedTuple):
    """The adapter of one linear layer: the layer's weight grows by ``alpha / rank * B @ A``."""

    A: torch.Tensor  # [rank, in]
    B: torch.Tensor  # [out, rank]
    alpha: float

    @property
    def rank(self) -> int:
        """Rows of A."""
        return self.A.shape[0]

    @property
    def scale(self) -> float:
        """alpha / rank."""
        return self.alpha / self.rank


def module_name(name: str) -> str:
    """A module's name without what peft wraps around the network or its layers."""
    return name.removeprefix("base_model.model.").removesuffix(".base_layer")


def adapter_weights(module: nn.Module, adapter: str | None = None) -> dict[str, LoraWeights]:
    """The LoRA weights that ``module`` carries, by module name, whole and on the CPU, in the type that they have.

    Of a network in shards (FSDP) every process must ask for them.

    Args:
        module: a network with peft's LoRA layers (``get_peft_model`` or diffusers' ``add_adapter``).
        adapter: which adapter; may be left out when there is only one.

    Raises:
        LoraFileError: there is none, there are several, or it is of a kind that a plain LoRA file cannot hold.
    """
    layers = _lora_layers(module)
    names = {name for layer in layers.values() for name in layer.lora_A}
    if not names:
        raise LoraFileError("The network carries no LoRA. Add an adapter with peft before saving it.")
    if adapter is None and len(names) > 1:
        raise LoraFileError(f"The network carries several adapters ({listed(sorted(names))}). Say which one.")
    adapter = adapter or next(iter(names))
    weights = {}
    for name, layer in layers.items():
        if adapter not in layer.lora_A:
            continue
        if adapter in getattr(layer, "lora_magnitude_vector", {}) or getattr(layer, "lora_bias", {}).get(adapter):
            raise LoraFileError(
                f"The adapter of {name} is a DoRA or has a bias. Only plain LoRA (use_dora and lora_bias off) is supported."
            )
        down, up = (_whole(part[adapter].weight.detach()).cpu() for part in (layer.lora_A, layer.lora_B))
        if down.ndim != 2:
            raise LoraFileError(f"The adapter of {name} belongs to a convolution. Only linear layers are supported.")
        weights[name] = LoraWeights(down, up, layer.scaling[adapter] * down.shape[0])  # scaling: alpha/r, also rslora's
    if not weights:
        raise LoraFileError(f"The network has no adapter '{adapter}', only: {listed(sorted(names))}.")
    return weights


def adapter_alphas(module: nn.Module, adapter: str = "default") -> dict[str, float]:
    """alpha of an adapter's layers by module name; no weights are fetched."""
    return {
        name: float(layer.scaling[adapter] * layer.lora_A[adapter].weight.shape[0])
        for name, layer in _lora_layers(module).items()
        if adapter in layer.lora_A
    }


def lora_config(
    weights: Mapping[str, LoraWeights],
    targets: list[str] | None = None,
    rank: int = 64,
    alpha: float = 128,
    **options: Any,
) -> peft.LoraConfig:
    """A peft configuration that makes adapters of exactly these shapes and scales, to continue from a LoRA.

    Args:
        weights: what ``load_lora`` gave; each module keeps its own rank and alpha.
        targets: further modules to train, which start from nothing with ``rank`` and ``alpha``.
        options: passed on to ``peft.LoraConfig``.
    """
    import peft

    modules = list(dict.fromkeys([*weights, *(targets or [])]))
    return peft.LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=modules,
        rank_pattern={re.escape(name): lora.rank for name, lora in weights.items() if lora.rank != rank},
        alpha_pattern={re.escape(name): lora.alpha for name, lora in weights.items() if lora.alpha != alpha},
        **{"lora_dropout": 0.0, "bias": "none", **options},
    )


def copy_into_adapters(module: nn.Module, weights: Mapping[str, LoraWeights], adapter: str = "default") -> None:
    """Set the weights of existing peft adapters. Other adapters and modules keep theirs.

    Raises:
        LoraFileError: a module has no such adapter, or one of another rank or scale (see ``lora_config``).
    """
    layers = _lora_layers(module)
    missing = [name for name in weights if name not in layers or adapter not in layers[name].lora_A]
    if missing:
        raise LoraFileError(
            f"The network has no adapter '{adapter}' at {listed(missing)}. Make it with lora_config(weights)."
        )
    with torch.no_grad():
        for name, lora in weights.items():
            layer = layers[name]
            down, up = layer.lora_A[adapter].weight, layer.lora_B[adapter].weight
            if (
                down.shape != lora.A.shape
                or up.shape != lora.B.shape
                or abs(layer.scaling[adapter] - lora.scale) > 1e-6 * abs(lora.scale)
            ):
                raise LoraFileError(
                    f"The adapter of {name} has rank {down.shape[0]} and scale {layer.scaling[adapter]:g}, the LoRA's has rank "
                    f"{lora.rank} and scale {lora.scale:g}. Make the adapters with lora_config(weights)."
                )
            down.copy_(lora.A)
            up.copy_(lora.B)


def _whole(weight: torch.Tensor) -> torch.Tensor:
    """A weight that is in shards (FSDP) put together."""
    return weight.full_tensor() if hasattr(weight, "full_tensor") else weight


def _lora_layers(module: nn.Module) -> dict[str, nn.Module]:
    """peft's LoRA layers by the name of the module that they wrap."""
    return {
        module_name(name): layer
        for name, layer in module.named_modules()
        if isinstance(getattr(layer, "lora_A", None), nn.ModuleDict) and hasattr(layer, "scaling")
    }
