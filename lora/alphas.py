"""The alpha of files that carry none among their tensors: peft and diffusers write it elsewhere."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

_DIFFUSERS = "lora_adapter_metadata"  # in the safetensors metadata; keys with the component's name before them
_PEFT = "adapter_config.json"  # beside peft's adapter_model.safetensors


def recorded_alphas(path: Path, metadata: dict[str, str]) -> Callable[[str, int], float]:
    """(module name as in the file, rank) -> alpha. Where the file records none it is the rank: a scale of 1.

    rslora's alpha / sqrt(rank) is turned into the alpha that gives the same scale as alpha / rank.
    """
    config = _recorded(path, metadata)

    def alpha(module: str, rank: int) -> float:
        value = config.get("lora_alpha")
        for pattern, own in (config.get("alpha_pattern") or {}).items():
            if re.match(rf"(.*\.)?({pattern})$", module):
                value = own
        if value is None:
            return float(rank)
        return float(value) * math.sqrt(rank) if config.get("use_rslora") else float(value)

    return alpha


def _recorded(path: Path, metadata: dict[str, str]) -> dict:
    beside = path.with_name(_PEFT)
    try:
        if _DIFFUSERS in metadata:
            return {key.removeprefix("transformer."): value for key, value in json.loads(metadata[_DIFFUSERS]).items()}
        if path.name == "adapter_model.safetensors" and beside.is_file():
            return json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        pass  # then the file has no alpha that could be read
    return {}
