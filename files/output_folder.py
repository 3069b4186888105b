"""One run at a time in an output folder."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from ..errors import FileError
from .atomic_file import not_written, sweep, write_json
from .file_lock import InUseError, locked

LOCK, LOCK_FILE, HOLDER = "videoalign", ".videoalign.lock", ".videoalign.holder"
_DEPTH = 4  # folders in folders that are looked into for left-overs: round_1/training/checkpoints/state-00000010


@contextlib.contextmanager
def held(folder: Path | str, command: str, wanted: bool = True) -> Iterator[None]:
    """Hold an output folder while a command fills it, and remove what killed runs left half-written.

    A folder that this made and that nothing came into, since the command was refused, is removed again.

    The system lets go of the folder of a process that dies, also by kill -9. ``.videoalign.lock`` is the lock, ``.videoalign.holder``
    says who holds it.

    Args:
        folder: made where it is missing.
        command: its name, for whoever is refused.
        wanted: False holds nothing: of processes that work together only the first one holds the folder.

    Raises:
        InUseError: another process holds it; it is not waited for.
        FileError: the folder cannot be written to.
    """
    folder = Path(folder)
    new = not folder.exists()
    with contextlib.ExitStack() as stack:
        if wanted:
            stack.enter_context(_lock(folder))
            _sweep_all(folder)
            holder = {"pid": os.getpid(), "host": platform.node(), "command": command}
            with contextlib.suppress(FileError):  # only told; a full disk is said by what has to be written
                write_json(folder / HOLDER, holder, indent=None)
            stack.callback(_let_go, folder, new)
        yield


def holding_command(folder: Path) -> str | None:
    """The command of the process that holds a folder, or held it last before it was killed; None where nothing tells."""
    try:
        return str(json.loads((folder / HOLDER).read_bytes())["command"])
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None


def _lock(folder: Path) -> contextlib.ExitStack:
    while True:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(folder / LOCK, timeout=0))
            except InUseError:
                raise InUseError(
                    f"{folder} is in use by {_holder(folder)}. Wait until it is done or end it, or choose another --output."
                ) from None
            except FileError as error:
                raise not_written(folder, error.__cause__ or error) from error
            if (
                folder / LOCK_FILE
            ).exists():  # else its last holder has just removed it: nobody else would see this lock
                return stack.pop_all()


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / HOLDER).read_bytes())
        there = "" if holder["host"] == platform.node() else f" on {holder['host']}"
        return f"another process (videoalign {holder['command']}, process {int(holder['pid'])}{there})"
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return "another process"


def _sweep_all(folder: Path) -> None:
    for path, folders, _ in os.walk(folder):
        sweep(path)
        if len(Path(path).relative_to(folder).parts) >= _DEPTH:
            folders.clear()


def _let_go(folder: Path, new: bool) -> None:
    with contextlib.suppress(OSError):
        (folder / HOLDER).unlink(missing_ok=True)
        if new and os.listdir(folder) == [LOCK_FILE]:
            (folder / LOCK_FILE).unlink()
            folder.rmdir()
