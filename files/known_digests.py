"""Digests of files that were read once: an unchanged file (same size and time of change) is not read again."""

from __future__ import annotations

from pathlib import Path

from .digests import file_digest
from .remembered import RememberedFacts


class KnownDigests:
    """``file_digest`` of files, remembered in a file.

    Args:
        path: of what is remembered; written by ``save``.
    """

    def __init__(self, path: Path) -> None:
        self._known = RememberedFacts(path)
        self.save = self._known.save

    def digest(self, file: Path | str) -> str:
        """SHA-256 of a file's content, in hexadecimal.

        Raises:
            OSError: it cannot be read.
        """
        file = Path(file).absolute()
        state = file.stat()
        stamp, entry = [state.st_size, state.st_mtime_ns], self._known.get(str(file))
        if not isinstance(entry, dict) or entry.get("stamp") != stamp:
            entry = {"stamp": stamp, "digest": file_digest(file)}
            self._known[str(file)] = entry
        return entry["digest"]
