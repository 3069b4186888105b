"""Tells what clips were made with by content: another file under the same name is noticed."""

from __future__ import annotations

from pathlib import Path

from ..errors import VideoAlignError
from ..files.digests import sampled_digest

_PARTS = (".safetensors", ".json", ".bin", ".model")


def file_key(path: Path) -> str:
    """A hash of a weight file, or of the weight and configuration files in a folder.

    Raises:
        VideoAlignError: there is no such file.
    """
    if not path.exists():
        raise VideoAlignError(f"There is no {path}; check the path.")
    files = sorted(file for file in path.rglob("*") if file.suffix in _PARTS) if path.is_dir() else [path]
    return sampled_digest(files)
