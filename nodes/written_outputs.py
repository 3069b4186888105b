"""Which files nodes have written, so that a deleted one is written again. Nothing here imports ComfyUI.

ComfyUI runs a node again when its fingerprint changes. A file that a node writes changes by the writing itself, so its
fingerprint is not what it holds but how often it was found deleted.
"""

from __future__ import annotations

from pathlib import Path

_written: set[Path] = set()
_deleted: dict[Path, int] = {}


def remember(path: Path) -> None:
    """A node has just written it."""
    _written.add(Path(path))


def fingerprint(path: Path) -> str:
    """Changes once for each time that a written file was deleted, and by nothing else."""
    path = Path(path)
    if path in _written and not path.exists():
        _written.discard(path)
        _deleted[path] = _deleted.get(path, 0) + 1
    return str(_deleted.get(path, 0))
