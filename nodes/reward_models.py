"""The reward models that a user can choose from: converted files and official folders, and the embedded micro model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import CheckpointError
from ..reward.settings import EMBEDDED_FILE

FOLDER = "reward_models"
EMBEDDED_NAME = "micro VideoReward (embedded)"


def reward_model_names(folders: Sequence[str | Path]) -> list[str]:
    """Names for a drop-down, the embedded model first, then what lies in ``folders``: paths relative to them, '/' between."""
    embedded = [EMBEDDED_NAME] if EMBEDDED_FILE.is_file() else []
    return embedded + names_in(folders)


def reward_model_path(name: str, folders: Sequence[str | Path]) -> Path:
    """The file or folder of a name from ``reward_model_names``.

    Raises:
        CheckpointError: it is not there (any more); the message says where was looked.
    """
    if name == EMBEDDED_NAME:
        if EMBEDDED_FILE.is_file():
            return EMBEDDED_FILE
        raise CheckpointError(f"The embedded model's file {EMBEDDED_FILE} is missing. Install the pack again.")
    return path_in(folders, name, "reward model")


def names_in(folders: Sequence[str | Path]) -> list[str]:
    """What lies in ``folders``: safetensors files and official folders, as paths relative to them, '/' between."""
    return sorted({name for folder in folders for name in _names(Path(folder))}, key=str.lower)


def path_in(folders: Sequence[str | Path], name: str, what: str) -> Path:
    """The file or folder of a name from ``names_in``.

    Raises:
        CheckpointError: it is not there (any more); the message calls it ``what`` and says where was looked.
    """
    if Path(name).parts and ".." not in Path(name).parts and not Path(name).is_absolute():
        for folder in map(Path, folders):
            if (folder / name).exists():
                return folder / name
    looked = ", ".join(str(folder) for folder in folders)
    raise CheckpointError(
        f"The {what} {name!r} is not in {looked}. It was moved or deleted, or never put there: put it back, or refresh "
        "the node definitions (R) and choose another one."
    )


def _names(folder: Path, prefix: str = "", above: frozenset[Path] = frozenset()) -> list[str]:
    """At any depth, as ComfyUI lists models; a link that leads back up is not followed."""
    names = []
    try:
        here = folder.resolve()
        entries = sorted(folder.iterdir())
    except OSError:  # a folder of extra_model_paths.yaml on a drive that is not there
        return names
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_file():
            if entry.suffix.lower() == ".safetensors":
                names.append(prefix + entry.name)
        elif (entry / "model_config.json").is_file():
            names.append(prefix + entry.name)
        elif entry.is_dir() and entry.resolve() not in above | {here}:
            names += _names(entry, f"{prefix}{entry.name}/", above | {here})
    return names
