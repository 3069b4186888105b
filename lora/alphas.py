"""The alpha of files that carry none among their tensors: peft, diffusers and others write it elsewhere."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path

from ..files.json_text import parse_json

_DIFFUSERS = "lora_adapter_metadata"  # in the safetensors metadata; keys with the component's name before them
_FINETRAINERS = "lora_config"  # in the safetensors metadata; peft's words
_PEFT = "adapter_config.json"  # beside peft's adapter_model.safetensors


class RecordedAlphas:
    """What a file records of its alphas besides tensors.

    Attributes:
        source: where it stands, for a message; None where the file records none.
    """

    def __init__(
        self, path: Path, metadata: dict[str, str], keys: Iterable[str] = (), component: str = "transformer"
    ) -> None:
        """Args: the file, its safetensors metadata, its keys, and what diffusers calls the network."""
        self.source, self._config = _recorded(path, metadata, keys, f"{component}.")
        self._beside = self.source == _PEFT and path.name != "adapter_model.safetensors"

    def __call__(self, module: str, rank: int) -> float | None:
        """The alpha of a module (its name as in the file) of that rank; None where the file does not tell.

        rslora's alpha / sqrt(rank) is turned into the alpha that gives the same scale as alpha / rank.
        """
        if self._beside and self._value(module, "rank_pattern", "r") not in (None, rank):
            return None  # the configuration beside a file of another name may be another file's
        value = self._value(module, "alpha_pattern", "lora_alpha")
        if value is None:
            return None
        return float(value) * math.sqrt(rank) if self._config.get("use_rslora") else float(value)

    def _value(self, module: str, patterns: str, default: str) -> float | None:
        """The value of the first pattern that fits, as peft chooses it, else the default."""
        for pattern, value in (self._config.get(patterns) or {}).items():
            if re.match(rf"(.*\.)?({pattern})$", module):
                return value
        return self._config.get(default)


def _recorded(path: Path, metadata: dict[str, str], keys: Iterable[str], component: str) -> tuple[str | None, dict]:
    try:
        if _DIFFUSERS in metadata:
            return _DIFFUSERS, _of_component(parse_json(metadata[_DIFFUSERS]), component)
        if _FINETRAINERS in metadata and "lora_alpha" in (config := parse_json(metadata[_FINETRAINERS])):
            return _FINETRAINERS, config
        if {"lora_alpha", f"{component}lora_alpha"} & set(metadata):  # SimpleTuner: a key a setting
            return "lora_alpha", _of_component(metadata, component)
        beside = path.with_name(_PEFT)
        peft = path.name == "adapter_model.safetensors" or any(key.startswith("base_model.model.") for key in keys)
        if peft and beside.is_file():
            return _PEFT, parse_json(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, AttributeError):
        pass  # then the file has no alpha that could be read
    return None, {}


def _of_component(config: dict, component: str) -> dict:
    return {key.removeprefix(component): value for key, value in config.items()}
