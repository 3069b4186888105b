"""Whether a file or folder is still the one it was, by content."""

from __future__ import annotations

import hashlib
from pathlib import Path

_CHUNK = 1 << 22
# (path, bytes, modification time in ns) -> digest: an untouched checkpoint of 5 GB is read once, not before every prompt.
_digests: dict[tuple[str, int, int], str] = {}


def content_fingerprint(path: Path) -> str:
    """A digest of a file's content, or of the names and contents of all files in a folder.

    Raises:
        OSError: it cannot be read.
    """
    path = Path(path)
    if path.is_file():
        return _file_digest(path)
    total = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            total.update(f"{file.relative_to(path).as_posix()}\0{_file_digest(file)}\n".encode())
    return total.hexdigest()


def _file_digest(path: Path) -> str:
    state = path.stat()
    key = (str(path), state.st_size, state.st_mtime_ns)
    if key not in _digests:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        _digests[key] = digest.hexdigest()
    return _digests[key]
