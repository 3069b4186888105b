"""Digests of content: whether something is still what it was, whatever its name and its time say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_CHUNK = 1 << 22
_WHOLE_BYTES = 64 << 20  # files up to this size are hashed whole by `sampled_digest`
_SAMPLES, _SAMPLE_BYTES = 64, 1 << 16
# (path, bytes, modification time in ns) -> digest: an untouched checkpoint of 5 GB is read once, not before every prompt.
_known: dict[tuple[str, int, int], str] = {}


def file_digest(path: Path | str) -> str:
    """SHA-256 of a file's content, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def content_fingerprint(path: Path | str) -> str:
    """A digest of a file's content, or of the names and contents of all files in a folder; remembered by size and time.

    Raises:
        OSError: it cannot be read.
    """
    path = Path(path)
    if path.is_file():
        return _remembered_digest(path)
    total = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            total.update(f"{file.relative_to(path).as_posix()}\0{_remembered_digest(file)}\n".encode())
    return total.hexdigest()


def sampled_digest(paths: Iterable[Path]) -> str:
    """16 hexadecimal digits that change whenever the content of weight files does.

    Small files are hashed whole; of large ones the beginning (a safetensors header), the size and 64 pieces spread over
    the file.

    Raises:
        OSError: one cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(f"{size};".encode())
        with open(path, "rb") as file:
            if size <= _WHOLE_BYTES:
                digest.update(file.read())
                continue
            length = min(int.from_bytes(file.read(8), "little"), _WHOLE_BYTES)
            digest.update(file.read(length))
            for index in range(_SAMPLES):
                file.seek((size - _SAMPLE_BYTES) * index // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]


def json_digest(value: Any) -> str:
    """16 hexadecimal digits of a value of lists, tables, texts and numbers; the order of a table's keys does not count."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _remembered_digest(path: Path) -> str:
    state = path.stat()
    key = (str(path), state.st_size, state.st_mtime_ns)
    if key not in _known:
        _known[key] = file_digest(path)
    return _known[key]
