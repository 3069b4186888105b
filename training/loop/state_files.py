"""Checkpoints of a training run: what is needed to go on as if nothing had happened."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import torch

from ...errors import CheckpointError
from ...files.atomic_file import replacing

STATE = "training_state.pt"


def save_state(folder: Path, step: int, state: dict, keep: int) -> Path:
    """Write ``state-STEP/training_state.pt`` whole or not at all, and delete all but the ``keep`` newest.

    Args:
        state: nested dictionaries, lists, tensors, numbers and strings only (it is read back with weights_only=True).

    Raises:
        CheckpointError: the disk is full or the folder cannot be written to; earlier checkpoints are untouched.
    """
    target = folder / f"state-{step:08d}"
    remedy = "Earlier checkpoints are intact: free some space and run the same command again."
    with replacing(target / STATE, CheckpointError, remedy) as temporary:
        torch.save({"step": step, **state}, temporary)
    for old in _states(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def newest_state(folder: Path) -> dict | None:
    """The newest readable checkpoint of a run, or None. A damaged one is passed over with a warning by the caller."""
    for path in reversed(_states(folder)):
        try:
            return torch.load(path / STATE, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError):
            continue
    return None


def _states(folder: Path) -> list[Path]:
    """Folders of states, oldest first; one that a killed writer left without its file is none."""
    folders = (path for path in folder.glob("state-*") if re.fullmatch(r"state-\d{8}", path.name))
    return sorted(path for path in folders if (path / STATE).is_file())
