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


JUDGE_FILES = (".safetensors", ".csv", ".json", ".jsonl")
"""Endings of the files that some judge is opened with: weights, or marks that others gave."""
_OF_FOLDERS = ("model_config.json", "config.json")


def judge_source_names(folders: Sequence[str | Path]) -> list[str]:
    """What a judge may be opened with in ``folders``: files of ``JUDGE_FILES``, and folders of models in the layout of the hub."""
    return names_in(folders, JUDGE_FILES, _OF_FOLDERS)


def names_in(
    folders: Sequence[str | Path], endings: Sequence[str] = (".safetensors",), signs: Sequence[str] = _OF_FOLDERS[:1]
) -> list[str]:
    """What lies in ``folders``, as paths relative to them, '/' between.

    Args:
        endings: of the files that are listed, in lower case.
        signs: a folder that has one of these files is listed itself; by default those of VideoReward's official layout.
    """
    return sorted({name for folder in folders for name in _names(Path(folder), endings, signs)}, key=str.lower)


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


def _names(
    folder: Path, endings: Sequence[str], signs: Sequence[str], prefix: str = "", above: frozenset[Path] = frozenset()
) -> list[str]:
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
            if entry.suffix.lower() in endings:
                names.append(prefix + entry.name)
        elif any((entry / sign).is_file() for sign in signs):
            names.append(prefix + entry.name)
        elif entry.is_dir() and entry.resolve() not in above | {here}:
            names += _names(entry, endings, signs, f"{prefix}{entry.name}/", above | {here})
    return names
