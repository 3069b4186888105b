"""Load a VideoReward from wherever it lies: an official folder, a converted file, ComfyUI's models, or the hub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import torch

from ..backbones.devices import arithmetic_of, check_dtype, chosen_device
from ..backbones.meta_device import on_meta
from ..errors import CheckpointError
from ..files.tensor_file import load_tensors
from .checkpoint_files import (
    ADAPTER,
    FULL_STATE,
    NON_LORA,
    CheckpointFolder,
    base_files,
    download,
    find_base,
    open_checkpoint,
    read_base_weights,
    read_pickle,
)
from .checkpoint_weights import check_shapes, merge_state, network_name
from .converted_file import ConvertedReward, load_converted
from .network_config import config_from_weights
from .qwen2vl_network import Qwen2VLRewardNetwork
from .reward_tokenizer import RewardTokenizer
from .settings import EMBEDDED_FILE, RewardSettings
from .template import load_template
from .video_reward import VideoReward

EMBEDDED_NAME = "micro"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_video_reward(
    source: str | Path,
    *,
    base: str | Path | None = None,
    step: int | None = None,
    dtype: torch.dtype | Literal["auto"] | None = None,
    device: torch.device | str | None = None,
    compute_device: torch.device | str | None = None,
    rotary_dtype: torch.dtype | None = None,
    allow_download: bool = False,
) -> VideoReward:
    """Load a reward model, ready to score.

    Args:
        source: ``micro`` (the embedded reward of the micro world), a converted ``.safetensors`` file, an official checkpoint folder, the name of either in ComfyUI's
            ``models/reward_models``, or a hub repository such as ``KlingTeam/VideoReward``.
        base: folder of the base model, for its tokenizer and (adapter layout) its weights.
        step: which checkpoint-N of an official folder; the highest by default.
        dtype: arithmetic; the checkpoint's own by default; "auto": what ``compute_device`` is fast in (``devices.arithmetic_of``).
        device: the accelerator when there is one, else the CPU, by default; meta: without content, for counting.
        compute_device: where it will be moved to score; ``device`` by default.
        rotary_dtype: rounding of the rotary frequencies; the checkpoint's own type by default (right for the released one).
        allow_download: permit the hub; without it only its local cache is looked at.

    Raises:
        CheckpointError: it cannot be found, read or trusted, or does not fit its configuration.
    """
    device = chosen_device(device)
    compute_device = device if compute_device is None else compute_device
    path = locate(source, allow_download)
    if path.is_file():
        reward = load_converted(path, torch.device("cpu") if device.type == "meta" else device)  # mapped, and not read
        return build(reward, _arithmetic(dtype, reward.settings, compute_device), device, rotary_dtype)
    checkpoint = open_checkpoint(path, step)
    kind = _arithmetic(dtype, checkpoint.settings, compute_device)
    return build(
        read_official(checkpoint, Path(base) if base else None, kind, allow_download), kind, device, rotary_dtype
    )


def read_official(
    checkpoint: CheckpointFolder,
    base: Path | None = None,
    dtype: torch.dtype | None = None,
    allow_download: bool = False,
) -> ConvertedReward:
    """Read an official checkpoint and merge its LoRA; the result can be built or saved.

    Args:
        base, allow_download: as in ``load_video_reward``.
        dtype: type of the merged weights; the checkpoint's own by default.
    """
    settings = checkpoint.settings
    base = find_base(checkpoint, base, allow_download)
    config, tokenizer = base_files(checkpoint, base)
    state = read_state(checkpoint, base)
    if config is None:
        config = config_from_weights({network_name(name): tensor for name, tensor in state.items()})
    template = load_template(settings.template)
    vocabulary = len(RewardTokenizer(tokenizer, template))
    _settle_lm_head(state, config, checkpoint)
    _check_vocabulary(state, vocabulary, checkpoint)
    expected = _empty_network(config, vocabulary, settings.output_dim).state_dict()
    dtype = dtype or _checkpoint_dtype(settings)
    weights = merge_state(state, settings.lora, dtype, expected)
    check_shapes(weights, expected)
    return ConvertedReward(settings, config, tokenizer, weights)


def build(
    reward: ConvertedReward, dtype: torch.dtype | None, device: torch.device, rotary_dtype: torch.dtype | None = None
) -> VideoReward:
    """Assemble a ``VideoReward`` from what a file held. Arguments as in ``load_video_reward``."""
    settings = reward.settings
    checkpoint_dtype = _checkpoint_dtype(settings)
    check_dtype(device, dtype or checkpoint_dtype, "the reward model")
    tokenizer = RewardTokenizer(reward.tokenizer, load_template(settings.template))
    network = _empty_network(reward.network_config, len(tokenizer), settings.output_dim)
    expected = network.state_dict()
    if set(reward.weights) != set(expected):
        raise CheckpointError(
            "The converted file does not hold the weights that its configuration names. Convert it again."
        )
    check_shapes(reward.weights, expected)
    weights = {name: _aligned(tensor.to(device, dtype or checkpoint_dtype)) for name, tensor in reward.weights.items()}
    network.load_state_dict(weights, assign=True)
    network.set_rotary_precision(rotary_dtype or checkpoint_dtype, device)
    network.requires_grad_(False).eval()
    return VideoReward(network, tokenizer, settings)


def locate(source: str | Path, allow_download: bool = False) -> Path:
    """The file or folder that ``source`` names (see ``load_video_reward``).

    Raises:
        CheckpointError: it is nowhere; the message lists where was looked.
    """
    if str(source) == EMBEDDED_NAME:
        if not EMBEDDED_FILE.is_file():
            raise CheckpointError(
                "The micro reward is not part of this installation. Name a checkpoint or a converted file."
            )
        return EMBEDDED_FILE
    tried = [Path(os.path.expanduser(source))]
    for models in _comfyui_model_folders():
        tried += [models / "reward_models" / str(source)]
    for path in tried:
        if path.exists():
            return path
    downloaded = download(str(source), allow_download, weights=True)
    if downloaded is not None:
        return downloaded
    paths = ", ".join(str(path) for path in tried)
    raise CheckpointError(
        f"No reward model at {paths}. A name on the hub is fetched only with --download (allow_download=True)."
    )


def _comfyui_model_folders() -> list[Path]:
    """ComfyUI's models folder: under COMFYUI_PATH, or around this pack when it lies in custom_nodes."""
    folders = [Path(os.environ["COMFYUI_PATH"]) / "models"] if os.environ.get("COMFYUI_PATH") else []
    pack = Path(__file__).resolve().parent.parent
    if pack.parent.name == "custom_nodes":
        folders.append(pack.parent.parent / "models")
    return folders


def read_state(checkpoint: CheckpointFolder, base: Path | None) -> dict[str, torch.Tensor]:
    """All weights of an official checkpoint under official (or already renamed) names, adapters not merged.

    The adapter layout is the base model's weights, overlaid by what was trained without LoRA, plus the adapters.
    """
    if checkpoint.is_full:
        return read_pickle(checkpoint.weights / FULL_STATE)
    state = {
        network_name(name): tensor for name, tensor in read_base_weights(base, checkpoint.settings.base_model).items()
    }
    state.pop("lm_head.weight", None)  # the base model's copy of the embedding; the trained one follows
    trained = read_pickle(checkpoint.weights / NON_LORA)
    known = {*state, "rm_head.weight", "lm_head.weight"}
    unknown = sorted(name for name in trained if network_name(name) not in known)
    if unknown:
        raise CheckpointError(
            f"{checkpoint.weights / NON_LORA} trains {unknown[0]}, which the base model in {base} does not have."
        )
    state.update({network_name(name): tensor for name, tensor in trained.items()})
    state.update(load_tensors(checkpoint.weights / ADAPTER, CheckpointError)[1])
    return state


def _arithmetic(
    asked: torch.dtype | Literal["auto"] | None, settings: RewardSettings, device: torch.device | str
) -> torch.dtype | None:
    return arithmetic_of(_checkpoint_dtype(settings), device) if asked == "auto" else asked


def _checkpoint_dtype(settings: RewardSettings) -> torch.dtype:
    if settings.torch_dtype not in DTYPES:
        raise CheckpointError(f"The checkpoint's torch_dtype is {settings.torch_dtype!r}; known: {', '.join(DTYPES)}.")
    return DTYPES[settings.torch_dtype]


def _aligned(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor where CPU kernels like it. A file is mapped anywhere, and there sums may round differently, so that a
    checkpoint and its converted file would not score alike to the bit."""
    return tensor.clone() if tensor.device.type == "cpu" and tensor.data_ptr() % 64 else tensor


def _settle_lm_head(state: dict[str, torch.Tensor], config: dict, checkpoint: CheckpointFolder) -> None:
    """Drop an ``lm_head`` that is not the embedding (7B and larger); where it is, a whole checkpoint must hold it."""
    copies = [name for name in state if network_name(name) == "lm_head.weight"]
    if config.get("tie_word_embeddings") is False:
        for name in copies:
            del state[name]
    elif checkpoint.is_full and not copies:
        raise CheckpointError(
            f"{checkpoint.weights / FULL_STATE} has no lm_head.weight, whose values the token embedding takes; 1 key is "
            "missing. Download it again."
        )


def _check_vocabulary(state: dict[str, torch.Tensor], vocabulary: int, checkpoint: CheckpointFolder) -> None:
    """The embedding was resized to the tokenizer in training, so a difference means the wrong tokenizer."""
    for name, tensor in state.items():
        if not network_name(name).endswith(("embed_tokens.weight", "lm_head.weight")) or tensor.shape[0] == vocabulary:
            continue
        raise CheckpointError(
            f"{checkpoint.weights}: {name} has {tensor.shape[0]} rows, the tokenizer {vocabulary} tokens. The tokenizer is another one "
            f"than that of {checkpoint.settings.base_model}; give the right base folder with --base."
        )


def _empty_network(config: dict, vocabulary: int, output_dim: int) -> Qwen2VLRewardNetwork:
    with on_meta():
        return Qwen2VLRewardNetwork(config, vocabulary, output_dim)
