"""Tells what clips were made with by content: another file under the same name is noticed."""

from __future__ import annotations

from pathlib import Path

from ..errors import VideoAlignError
from ..files.digests import sampled_digest
from ..files.joined_paths import paths_of

_PARTS = (".safetensors", ".json", ".bin", ".model")


def file_key(path: Path) -> str:
    """A hash of a weight file, or of the weight and configuration files in a folder; of several with ``+`` between them likewise.

    Raises:
        VideoAlignError: there is no such file.
    """
    files = []
    for part in paths_of(path):
        if not part.exists():
            raise VideoAlignError(f"There is no {part}; check the path.")
        files += sorted(file for file in part.rglob("*") if file.suffix in _PARTS) if part.is_dir() else [part]
    return sampled_digest(files)
