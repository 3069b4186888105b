"""Find and read the files of a VideoReward checkpoint in the official layouts.

    model_config.json
    checkpoint-N/model.pth                                            every weight, LoRA not merged
    checkpoint-N/adapter_model.safetensors + non_lora_state_dict.pth  what was trained; the rest is in the base model
    checkpoint-N/tokenizer/                                           optional

(VideoAlign's formats.) Pickles are opened with ``weights_only=True``: a checkpoint can hold tensors, never code.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from packaging.version import Version

from ..errors import CheckpointError
from ..files.json_text import parse_json
from ..files.tensor_file import check_finite, load_tensors
from .reward_tokenizer import read_tokenizer
from .settings import RewardSettings

FULL_STATE, ADAPTER, NON_LORA = "model.pth", "adapter_model.safetensors", "non_lora_state_dict.pth"


@dataclass(frozen=True)
class CheckpointFolder:
    """One checkpoint on disk: the folder with model_config.json, and the chosen checkpoint-N inside it."""

    root: Path
    weights: Path
    settings: RewardSettings

    @property
    def is_full(self) -> bool:
        """True for ``model.pth`` (needs no base weights), False for the adapter layout."""
        return (self.weights / FULL_STATE).is_file()


def open_checkpoint(folder: Path, step: int | None = None, config_name: str = "model_config.json") -> CheckpointFolder:
    """Locate the weights of a checkpoint folder.

    Args:
        folder: the folder that holds ``model_config.json``, or a ``checkpoint-N`` inside it.
        step: which ``checkpoint-N``; the highest N by default.

    Raises:
        CheckpointError: no configuration, no checkpoint, or a checkpoint without weights.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(
            f"{folder} is not a folder. A VideoReward checkpoint is a folder with {config_name} and checkpoint-N/."
        )
    if re.fullmatch(r"checkpoint-\d+", folder.name) and (folder.parent / config_name).is_file():
        root, weights = folder.parent, folder
        if step is not None and folder.name != f"checkpoint-{step}":
            raise CheckpointError(f"{folder} is not checkpoint-{step}; give {root} with that step, or no step.")
    else:
        root, weights = folder, None
    settings = RewardSettings.from_model_config(root / config_name)
    weights = weights or _choose_step(root, step)
    has_adapter = (weights / ADAPTER).is_file() and (weights / NON_LORA).is_file()
    if not (weights / FULL_STATE).is_file() and not has_adapter:
        names = ", ".join(sorted(path.name for path in weights.iterdir())) or "nothing"
        raise CheckpointError(
            f"{weights} holds {names}; expected {FULL_STATE}, or {ADAPTER} and {NON_LORA}. Download it again."
        )
    return CheckpointFolder(root, weights, settings)


def _choose_step(root: Path, step: int | None) -> Path:
    steps = {}
    for path in root.iterdir():
        match = re.fullmatch(r"checkpoint-(\d+)", path.name)
        if match and path.is_dir():
            steps[int(match[1])] = path  # by number: checkpoint-900 is later than checkpoint-90
    if not steps:
        raise CheckpointError(f"{root} has no checkpoint-N folder. Download the whole repository, weights included.")
    if step is None:
        return steps[max(steps)]
    if step not in steps:
        raise CheckpointError(
            f"{root} has no checkpoint-{step}; it has {', '.join(f'checkpoint-{n}' for n in sorted(steps))}."
        )
    return steps[step]


def find_base(checkpoint: CheckpointFolder, base: Path | None, allow_download: bool) -> Path | None:
    """The folder of the base model (config, tokenizer, and weights for the adapter layout), or None if it is not here.

    Looks at ``base``, then at the name in model_config.json (as a path relative to the checkpoint folder, then as a
    folder of that last name beside it), then in the hub's local cache, and on the hub only when ``allow_download``.
    """
    if base is not None:
        if not Path(base).is_dir():
            raise CheckpointError(f"The base model folder {base} does not exist.")
        return Path(base)
    name = checkpoint.settings.base_model
    last = name.rstrip("/").split("/")[-1]
    for candidate in (checkpoint.root / name, checkpoint.root / last, checkpoint.root.parent / last):
        if (candidate / "config.json").is_file():
            return candidate
    return download(name, allow_download, weights=not checkpoint.is_full)


def download(repository: str, allow_download: bool, weights: bool) -> Path | None:
    """A hub repository's folder: from the local cache, or fetched when ``allow_download``; None when neither works out.

    Raises:
        CheckpointError: a download was asked for and failed.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = None if weights else ["*.json", "*.txt"]
    try:
        return Path(snapshot_download(repository, allow_patterns=patterns, local_files_only=not allow_download))
    except HFValidationError:
        return None  # ../base, say: a path, not a name on the hub
    except LocalEntryNotFoundError as error:
        if not allow_download:
            return None
        raise CheckpointError(
            f"{repository} could not be downloaded ({error}). Check the network, or give a local folder."
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise CheckpointError(
            f"{repository} could not be downloaded ({error}). Check the name and the network."
        ) from error


def base_files(checkpoint: CheckpointFolder, base: Path | None):
    """The base model's config (a dictionary, or None when absent) and the tokenizer that fits the checkpoint.

    Raises:
        CheckpointError: there is no tokenizer anywhere; the message says where to put one.
    """
    config = None
    if base is not None and (base / "config.json").is_file():
        try:
            config = parse_json((base / "config.json").read_text(encoding="utf-8"))
        except ValueError as error:
            raise CheckpointError(f"{base / 'config.json'} is not valid JSON ({error}). Download it again.") from None
        if not isinstance(config, dict) or "vision_config" not in config:
            raise CheckpointError(f"{base / 'config.json'} has no vision_config; {base} is not a Qwen2-VL model.")
    tokenizer = None
    for folder in (checkpoint.weights / "tokenizer", checkpoint.weights, checkpoint.root, base):
        tokenizer = tokenizer or (read_tokenizer(folder) if folder is not None else None)
    if tokenizer is None:
        last = checkpoint.settings.base_model.rstrip("/").split("/")[-1]
        raise CheckpointError(
            f"{checkpoint.root} needs the tokenizer of {checkpoint.settings.base_model}. Put that model's folder beside it as "
            f"{checkpoint.root.parent / last}, name it with --base, or allow the download with --download."
        )
    return config, tokenizer


SAFE_PICKLES = (2, 10)
"""The torch release from which a pickle is opened."""


def read_pickle(path: Path) -> dict[str, torch.Tensor]:
    """A state dict saved by ``torch.save``, memory-mapped, tensors only.

    Raises:
        CheckpointError: the file is truncated, not a torch file, or holds anything but finite tensors; or this torch is older
            than 2.10, where ``weights_only=True`` does not keep a crafted file from corrupting memory (CVE-2026-24747).
    """
    if Version(torch.__version__).release < SAFE_PICKLES:
        raise CheckpointError(
            f"{path} is a pickle, and torch {torch.__version__} has a hole by which a crafted one can run code "
            "(CVE-2026-24747). Update torch to 2.10 or newer; or convert the checkpoint where there is one, with "
            "'videoalign convert', and use the .safetensors file here: those are read by any version."
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} was refused: it is damaged, or it holds code instead of plain tensors and could harm this computer. "
            f"Download it again from its authors. ({_first_line(error)})"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path} cannot be read ({_first_line(error)}): truncated or not a torch file. Download it again."
        ) from None
    entries = state.items() if isinstance(state, dict) else [(None, None)]
    if not all(isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in entries):
        raise CheckpointError(f"{path} does not hold a state dict (a mapping of names to tensors). Is it another file?")
    check_finite(path, state, CheckpointError)
    return state


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def read_base_weights(base: Path | None, name: str) -> dict[str, torch.Tensor]:
    """All weights of a base model folder, from one safetensors file or from shards.

    Raises:
        CheckpointError: there is no base folder, or no safetensors file in it.
    """
    if base is None:
        raise CheckpointError(
            f"This checkpoint holds only what was trained; it needs the weights of {name}. Give its folder with --base, or --download."
        )
    shards = sorted(base.glob("*.safetensors"))
    if not shards:
        raise CheckpointError(f"{base} holds no .safetensors weights of {name}. Download that model whole.")
    state: dict[str, torch.Tensor] = {}
    for shard in shards:
        state.update(load_tensors(shard, CheckpointError)[1])
    return state
