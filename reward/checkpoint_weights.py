"""From the state dicts of an official VideoReward checkpoint to the weights of ``Qwen2VLRewardNetwork``.

Official names are those of transformers 4.45 under PEFT: ``base_model.model.visual.*``, ``base_model.model.model.*``
(with ``.base_layer`` and ``.lora_A.default`` / ``.lora_B.default`` on adapted layers), ``base_model.model.lm_head`` and
``base_model.model.rm_head``. Here: ``visual.*``, ``language_model.*`` and ``rm_head.weight``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch

from ..errors import CheckpointError
from .settings import LoraSettings

EMBEDDING = "language_model.embed_tokens.weight"
_PEFT_PREFIX = "base_model.model."
_LORA = re.compile(r"^(?P<layer>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight$")


def network_name(official: str) -> str:
    """``base_model.model.model.layers.0.mlp.up_proj.base_layer.weight`` -> ``language_model.layers.0.mlp.up_proj.weight``."""
    name = official.removeprefix(_PEFT_PREFIX).replace(".base_layer.", ".")
    # transformers 4.52 and later save the halves one level deeper.
    for old, new in (
        ("model.visual.", "visual."),
        ("model.language_model.", "language_model."),
        ("model.", "language_model."),
    ):
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def merge_state(
    state: dict[str, torch.Tensor], lora: LoraSettings | None, dtype: torch.dtype, expected: Iterable[str]
) -> dict[str, torch.Tensor]:
    """Rename, untie and merge a full official state dict.

    Args:
        state: official names -> tensors; consumed (emptied) on the way, so that no weight is held twice.
        lora: rank and alpha of the adapters, or None for a checkpoint without LoRA.
        dtype: type of the result. Adapters are merged in float32 and cast once, which is closest to running them apart.
        expected: names that the network has; each must come up exactly once.

    Raises:
        CheckpointError: a key is missing, unknown or doubled, or a LoRA pair is incomplete.
    """
    adapters: dict[str, dict[str, torch.Tensor]] = {}
    base: dict[str, torch.Tensor] = {}
    for official in list(state):
        tensor = state.pop(official)
        adapter = _LORA.match(official)
        if adapter:
            pair = adapters.setdefault(network_name(adapter["layer"] + ".weight"), {})
            if adapter["side"] in pair:
                raise CheckpointError(f"The checkpoint holds {official} twice, once under another name.")
            pair[adapter["side"]] = tensor
            continue
        name = network_name(official)
        if name in base:
            raise CheckpointError(f"The checkpoint holds {name} twice (as {official} and under another name).")
        base[name] = tensor
    tied = base.pop("lm_head.weight", None)
    _check_names(set(base), set(expected))
    _check_adapters(adapters, base, lora)
    # One tied parameter that the file holds twice; the official loader reads lm_head last, so its values win.
    if tied is not None:
        base[EMBEDDING] = tied
    merged = {}
    for name in list(base):
        tensor = base.pop(name)
        factors = adapters.get(name)
        if factors is not None and lora is not None:
            tensor = tensor.float() + lora.alpha / lora.rank * (factors["B"].float() @ factors["A"].float())
        merged[name] = tensor.to(dtype).contiguous()
    return merged


def check_shapes(state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """Compare shapes with the network's.

    Raises:
        CheckpointError: a shape differs; the message names the first one.
    """
    for name, tensor in expected.items():
        if state[name].shape != tensor.shape:
            raise CheckpointError(
                f"{name} has shape {list(state[name].shape)} in the checkpoint and {list(tensor.shape)} in its configuration: "
                "the base model or the tokenizer is another one than the checkpoint was trained with."
            )


def _check_names(names: set[str], expected: set[str]) -> None:
    missing, extra = sorted(expected - names), sorted(names - expected)
    if missing or extra:
        raise CheckpointError(
            f"The checkpoint does not fit: {len(missing)} keys are missing{_sample(missing)} and {len(extra)} are unknown{_sample(extra)}. "
            "Is it a VideoReward checkpoint, and is the base model the one it was trained from?"
        )


def _check_adapters(
    adapters: dict[str, dict[str, torch.Tensor]], base: dict[str, torch.Tensor], lora: LoraSettings | None
) -> None:
    stray = sorted(name for name, pair in adapters.items() if name not in base or set(pair) != {"A", "B"})
    if stray:
        raise CheckpointError(
            f"{len(stray)} LoRA keys have no layer or no counterpart{_sample(stray)}; the checkpoint is incomplete."
        )
    if bool(adapters) != (lora is not None):
        content = "LoRA weights" if adapters else "no LoRA weights"
        raise CheckpointError(
            f"The checkpoint holds {content}, but model_config.json says lora_enable = {str(lora is not None).lower()}."
        )
    if lora is None:
        return
    ranks = {pair["A"].shape[0] for pair in adapters.values()}
    if ranks != {lora.rank}:
        raise CheckpointError(
            f"The LoRA weights have rank {sorted(ranks)}, model_config.json says {lora.rank}; the scale would be wrong."
        )
    for name, pair in adapters.items():
        shape = [*pair["B"].shape, *pair["A"].shape]
        if shape != [base[name].shape[0], lora.rank, lora.rank, base[name].shape[-1]]:
            raise CheckpointError(
                f"The LoRA of {name} ({list(base[name].shape)}) is {shape[:2]} times {shape[2:]}; "
                "the base model is another one than the checkpoint was trained with."
            )


def _sample(names: list[str]) -> str:
    return f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""
