"""Save a trained VideoReward so that the official code loads it: key names, shapes, files and configuration.

Formats of VideoAlign (KlingAIResearch/VideoAlign); the inverse of ``reward.checkpoint_weights``.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import torch
from torch import nn

from ...errors import CheckpointError, FileError
from ...files.atomic_file import replacing, write_json, write_text
from ...files.tensor_file import save_tensors
from ...reward.checkpoint_files import ADAPTER, FULL_STATE, NON_LORA
from ...reward.checkpoint_weights import EMBEDDING
from ...reward.dimensions import DIMENSIONS
from ...reward.loading import DTYPES
from ...reward.settings import Normalisation
from ...reward.video_reward import VideoReward
from .config import Config
from .trainable import RewardTokenRows

PEFT_PREFIX = "base_model.model."


def official_name(name: str, lora: bool) -> str:
    """``language_model.norm.weight`` -> ``base_model.model.model.norm.weight`` (without LoRA: ``model.norm.weight``)."""
    name = re.sub(r"^language_model\.", "model.", name)
    return (PEFT_PREFIX if lora else "") + name


def full_state(reward: VideoReward, lora: bool) -> dict[str, torch.Tensor]:
    """Every weight under its official name, adapters not merged, ``lm_head`` as the tied copy that the format has."""
    embedding = _embedding(reward.network)
    named = {name: value for name, value in reward.network.state_dict().items() if "embed_tokens" not in name}
    named[EMBEDDING] = embedding
    named["lm_head.weight"] = embedding.clone()
    dtype = DTYPES[reward.settings.torch_dtype]
    return {official_name(name, lora): value.detach().to("cpu", dtype).contiguous() for name, value in named.items()}


def save_official(folder: Path, step: int, reward: VideoReward, config: Config, normalisation: Normalisation) -> Path:
    """Write ``model_config.json`` and ``checkpoint-STEP/`` into ``folder``; returns the checkpoint's folder.

    Raises:
        CheckpointError: the disk is full or the folder cannot be written to.
    """
    lora = config.model.lora
    state = full_state(reward, lora)
    checkpoint = folder / f"checkpoint-{step}"
    try:
        checkpoint.mkdir(parents=True, exist_ok=True)
        if lora and not config.save_full_model:
            _save_parts(checkpoint, state, reward.network, config)
        else:
            with replacing(checkpoint / FULL_STATE) as temporary:
                torch.save(state, temporary)
        _save_tokenizer(checkpoint / "tokenizer", reward)
        write_json(folder / "model_config.json", model_config(config, normalisation), indent=4)
    except (FileError, OSError) as error:
        raise CheckpointError(
            f"The result could not be written to {folder} ({error}). Free some space and run the command again."
        ) from error
    return checkpoint


def model_config(config: Config, normalisation: Normalisation) -> dict:
    """The content of ``model_config.json``: the official sections, and this project's extensions in data_config."""
    data, model = config.data, config.model
    statistics = zip(DIMENSIONS, normalisation.mean, normalisation.std, strict=True)
    return {
        "data_config": {
            "max_frame_pixels": data.max_frame_pixels,
            "num_frames": None,
            "fps": data.fps,
            "eval_dim": list(DIMENSIONS),
            "prompt_template_type": data.template,
            "sample_type": "uniform",
            "min_frame_pixels": data.min_frame_pixels,
            "min_frames": data.min_frames,
        },
        "training_args": {
            "learning_rate": config.optimizer.learning_rate,
            "vision_lr": config.optimizer.vision_lr,
            "merger_lr": config.optimizer.merger_lr,
            "special_token_lr": config.optimizer.special_token_lr,
            "weight_decay": config.optimizer.weight_decay,
            "seed": config.seed,
            "bf16": model.torch_dtype == "bfloat16",
            "disable_flash_attn2": True,
            "load_from_pretrained": None,
            "load_from_pretrained_step": None,
            "save_full_model": config.save_full_model,
        },
        "model_config": {
            "model_name_or_path": str(Path(model.base).resolve()) if Path(model.base).exists() else str(model.base),
            "model_revision": "main",
            "output_dim": model.output_dim,
            "use_special_tokens": model.reward_token == "special",
            "freeze_vision_tower": not model.train_vision,
            "freeze_llm": False,
            "tune_merger": model.train_vision,
            "torch_dtype": model.torch_dtype,
            "trust_remote_code": False,
            "attn_implementation": None,
            "reward_token": model.reward_token,
            "loss_type": config.loss.type,
        },
        "peft_lora_config": {
            "lora_enable": model.lora,
            "vision_lora": False,
            "lora_r": model.lora_rank,
            "lora_alpha": model.lora_alpha,
            "lora_dropout": model.lora_dropout,
            "lora_target_modules": None,
            "lora_namespan_exclude": ["lm_head", "rm_head", "embed_tokens", "visual"],
            "lora_modules_to_save": None,
            "lora_task_type": "CAUSAL_LM",
            "use_rslora": False,
            "num_lora_modules": -1,
        },
        "inference_config": {
            f"{name}_{key}": value for name, mean, std in statistics for key, value in (("mean", mean), ("std", std))
        },
    }


def _save_parts(checkpoint: Path, state: dict[str, torch.Tensor], network: nn.Module, config: Config) -> None:
    trained = {official_name(name, True) for name, parameter in network.named_parameters() if parameter.requires_grad}
    # The embedding is stored whole, as the official trainer does; only its reward-token rows differ from the base's.
    trained.add(official_name(EMBEDDING, True))
    adapters = {name.replace(".default.", "."): value for name, value in state.items() if ".lora_" in name}
    rest = {name: value for name, value in state.items() if name in trained and ".lora_" not in name}
    save_tensors(checkpoint / ADAPTER, adapters, {"format": "pt"})
    with replacing(checkpoint / NON_LORA) as temporary:
        torch.save(rest, temporary)
    targets = sorted({re.sub(r"\.lora_[AB]\..*", "", name.removeprefix(PEFT_PREFIX)) for name in adapters})
    adapter_config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(config.model.base),
        "r": config.model.lora_rank,
        "lora_alpha": config.model.lora_alpha,
        "lora_dropout": config.model.lora_dropout,
        "target_modules": targets,
        "bias": "none",
        "inference_mode": True,
    }
    write_json(checkpoint / "adapter_config.json", adapter_config, indent=2)


def _save_tokenizer(folder: Path, reward: VideoReward) -> None:
    write_text(folder / "tokenizer.json", reward.tokenizer.to_json())


def _embedding(network: nn.Module) -> torch.Tensor:
    holder = network.language_model.embed_tokens
    return holder.weight if isinstance(holder, RewardTokenRows) else holder.weight.detach()


def remove_result(folder: Path) -> None:
    """Delete the result of an earlier run (``--overwrite``)."""
    for path in folder.glob("checkpoint-*"):
        shutil.rmtree(path, ignore_errors=True)
    for name in ("model_config.json", "videoreward.safetensors"):
        (folder / name).unlink(missing_ok=True)
