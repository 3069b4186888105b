"""One safetensors file that holds a whole VideoReward: merged weights, settings, network config and tokenizer.

Format ``videoalign.video_reward`` version 1. Metadata (JSON strings): ``format``, ``version``, ``settings``
(``RewardSettings.to_dict``), ``network_config`` (Qwen2-VL's ``config.json``). Tensors: the names of
``Qwen2VLRewardNetwork``, and ``tokenizer.json`` as bytes. Nothing else is needed to load it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer

from ..errors import CheckpointError
from ..files.json_text import parse_json
from ..files.tensor_file import load_described, save_tensors
from .settings import RewardSettings

FORMAT, VERSION = "videoalign.video_reward", "1"
_TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class ConvertedReward:
    """The content of a converted file."""

    settings: RewardSettings
    network_config: dict
    tokenizer: Tokenizer
    weights: dict[str, torch.Tensor]


def save_converted(path: Path | str, reward: ConvertedReward) -> None:
    """Write a converted file, whole or not at all.

    Raises:
        CheckpointError: it cannot be written (full disk, no permission); an existing file is untouched.
    """
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "settings": json.dumps(replace(reward.settings, lora=None).to_dict()),
        "network_config": json.dumps(reward.network_config),
    }
    text = reward.tokenizer.to_str().encode("utf-8")
    tensors = {**reward.weights, _TOKENIZER: torch.frombuffer(bytearray(text), dtype=torch.uint8)}
    save_tensors(path, tensors, metadata, CheckpointError)


def load_converted(path: Path | str, device: torch.device | str = "cpu") -> ConvertedReward:
    """Read a converted file, its weights straight onto ``device``.

    Raises:
        CheckpointError: the file is missing, truncated, or not a converted VideoReward.
    """
    remedy = "Make one with: videoalign convert"
    metadata, tensors = load_described(
        path, CheckpointError, FORMAT, VERSION, "a converted VideoReward", remedy, device
    )
    try:
        return ConvertedReward(
            RewardSettings.from_dict(parse_json(metadata["settings"])),
            parse_json(metadata["network_config"]),
            Tokenizer.from_str(tensors.pop(_TOKENIZER).cpu().numpy().tobytes().decode("utf-8")),
            tensors,
        )
    except CheckpointError:
        raise
    except Exception as error:  # tokenizers raises bare Exception on damaged text
        raise CheckpointError(
            f"{path} is damaged: its settings, network_config or tokenizer cannot be read ({type(error).__name__}: {str(error)[:200]}). Convert again."
        ) from None
