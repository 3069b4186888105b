"""Checkpoints of a training run: what is needed to go on as if nothing had happened.

    FOLDER/state-STEP/training_state.pt          what ``torch.save`` writes
    FOLDER/state-STEP/training_state.pt.sha256   its digest; 0.1.0 wrote none, and its states are read without

A state whose bytes are not those that were written is passed over, and the one before it is taken.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from ...errors import CheckpointError
from ...files.atomic_file import replacing, write_text
from ...files.digests import file_digest

STATE = "training_state.pt"
DIGEST = f"{STATE}.sha256"
_NEEDED = {
    "step": int,
    "fingerprint": dict,
    "weights": dict,
    "optimizer": dict,
    "random": torch.Tensor,
    "random_cuda": list,
}


def save_state(folder: Path, step: int, state: dict, keep: int) -> Path:
    """Write ``state-STEP/training_state.pt`` whole or not at all, and delete all but the ``keep`` newest.

    States of later steps are deleted too: they were damaged, or the run would have gone on from them.

    Args:
        state: nested dictionaries, lists, tensors, numbers and strings only (it is read back with weights_only=True).

    Raises:
        CheckpointError: the disk is full or the folder cannot be written to; earlier checkpoints are untouched.
    """
    target = folder / f"state-{step:08d}"
    remedy = (
        "Earlier checkpoints are intact: free some space and run the same command again, it goes on where it stopped."
    )
    with replacing(target / STATE, CheckpointError, remedy) as temporary:
        torch.save({"step": step, **state}, temporary)
        # Before the state has its name: a state that is there without a digest would be taken for one of 0.1.0.
        write_text(target / DIGEST, file_digest(temporary) + "\n", kind=CheckpointError, remedy=remedy)
    states = _states(folder)
    up_to_here = [path for path in states if path <= target]
    for path in {*states} - {*up_to_here[-keep:]}:
        shutil.rmtree(path, ignore_errors=True)
    return target


def newest_state(folder: Path, say: Callable[[str], None] = lambda _text: None) -> dict | None:
    """The newest checkpoint of a run that is as it was written, or None.

    Args:
        say: told of each that is damaged.
    """
    for path in reversed(_states(folder)):
        state = _read(path)
        if state is not None:
            return state
        say(f"{path / STATE} is damaged; the state before it is taken, or the training begins anew.")
    return None


def read_state(path: Path) -> dict:
    """A checkpoint by its file, by its folder, or the newest one by the run's output folder or its folder of checkpoints.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    for folder in (path / "checkpoints", path):
        if _states(folder):
            state = newest_state(folder)
            break
    else:
        file = path / STATE if path.is_dir() else path
        if not file.is_file():
            raise CheckpointError(
                f"{path} is no checkpoint. Name a training_state.pt, its folder, or the output folder of a training."
            )
        state = _read(file.parent) if file.name == STATE else None
    if state is None:
        raise CheckpointError(f"{path} is damaged, or no checkpoint of videoalign train. Choose another one.")
    return state


def _read(path: Path) -> dict | None:
    try:
        if (path / DIGEST).exists() and (path / DIGEST).read_text().strip() != file_digest(path / STATE):
            return None
        state = torch.load(path / STATE, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except (
        Exception
    ):  # damaged bytes make torch and pickle raise nearly anything: KeyError, IndexError, UnpicklingError, ...
        return None
    whole = isinstance(state, dict) and all(isinstance(state.get(name), kind) for name, kind in _NEEDED.items())
    return state if whole else None


def _states(folder: Path) -> list[Path]:
    """Folders of states, oldest first; one that a killed writer left without its file is none."""
    folders = (path for path in folder.glob("state-*") if re.fullmatch(r"state-\d{8}", path.name))
    return sorted(path for path in folders if (path / STATE).is_file())
