"""The latent reward models that a user can choose from: files in models/latent_reward_models, and the embedded micro one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import CheckpointError
from ..reward.settings import EMBEDDED_LATENT_FILE
from .reward_models import names_in, path_in

FOLDER = "latent_reward_models"
EMBEDDED_NAME = "micro latent reward (embedded)"


def latent_reward_names(folders: Sequence[str | Path]) -> list[str]:
    """Names for a drop-down, the embedded model first, then what lies in ``folders``."""
    embedded = [EMBEDDED_NAME] if EMBEDDED_LATENT_FILE.is_file() else []
    return embedded + [name for name in names_in(folders) if name.lower().endswith(".safetensors")]


def latent_reward_path(name: str, folders: Sequence[str | Path]) -> Path:
    """The file of a name from ``latent_reward_names``.

    Raises:
        CheckpointError: it is not there (any more); the message says where was looked.
    """
    if name == EMBEDDED_NAME:
        if EMBEDDED_LATENT_FILE.is_file():
            return EMBEDDED_LATENT_FILE
        raise CheckpointError(f"The embedded model's file {EMBEDDED_LATENT_FILE} is missing. Install the pack again.")
    return path_in(folders, name, "latent reward model")
