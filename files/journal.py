"""Files of JSON lines that survive kill -9: a line is on the disk before anybody is told so."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

from .atomic_file import replacing

_locks: dict[Path, threading.RLock] = {}
_making = threading.Lock()


def locked(path: Path) -> threading.RLock:
    """The lock of a file, the same for all threads of this process."""
    with _making:
        return _locks.setdefault(Path(path).resolve(), threading.RLock())


def append_lines(path: Path, lines: list[str]) -> None:
    """Append lines and wait until the disk has them.

    What a killed program left half-written at the end is cut off first.

    Raises:
        OSError: the file cannot be written, or the disk is full.
    """
    path = Path(path)
    with locked(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        gap = "" if new else _mend(path)
        with path.open("a", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.write(gap + "".join(line + "\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
        if new:
            _sync_folder(path.parent)


def rewrite_lines(path: Path, lines: list[str]) -> None:
    """Put these lines in the place of a file's content: the old file or the new one is there at any time.

    Raises:
        OSError: it cannot be written.
    """
    path = Path(path)
    content = "".join(line + "\n" for line in lines).encode("utf-8", "backslashreplace")
    with locked(path):
        with replacing(path) as temporary, temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)


def whole_lines(path: Path) -> list[str]:
    """The lines of a file, without a last one that was cut off; none if there is no file."""
    path = Path(path)
    if not path.exists():
        return []
    *lines, last = path.read_bytes().decode("utf-8-sig", errors="replace").split("\n")
    if _complete(last):
        lines.append(last)
    return [line for line in lines if line.strip()]


def _mend(path: Path) -> str:
    """Cut a torn last line off; what has to come before the next one: a line break where a whole line lacks it."""
    content = path.read_bytes()
    keep = content.rfind(b"\n") + 1
    last = content[keep:]
    if not last:
        return ""
    if _complete(last.decode("utf-8", errors="replace")):
        return "\n"
    with path.open("r+b") as file:
        file.truncate(keep)
    return ""


def _complete(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _sync_folder(folder: Path) -> None:
    """A new name is on the disk only when its folder is."""
    if os.name != "posix":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
