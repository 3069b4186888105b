"""Facts that took time to find out, kept in a JSON file with a checksum: what is damaged is found out again.

    {"crc32": "0123abcd", "facts": {...}}

The checksum is over the text of the facts, so that a flipped bit is never taken for a fact. A file of another form, such as one
of 0.1.0, counts as damaged.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from .atomic_file import write_text


class RememberedFacts:
    """A table of facts by name; its values are JSON's.

    Args:
        path: of the file; without one, or with a damaged one, nothing is known.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._changed = path, False
        self._facts: dict[str, Any] = _read(path)

    def __contains__(self, name: str) -> bool:
        return name in self._facts

    def get(self, name: str) -> Any:
        """A fact, or None."""
        return self._facts.get(name)

    def __setitem__(self, name: str, fact: Any) -> None:
        self._facts[name], self._changed = fact, True

    def save(self) -> None:
        """Write what is new.

        Raises:
            FileError: the file cannot be written.
        """
        if self._changed:
            facts = json.dumps(self._facts)
            write_text(self.path, f'{{"crc32": "{_checksum(facts)}", "facts": {facts}}}')
            self._changed = False


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
        facts = content["facts"]
        # JSON in, JSON out: the text is the one that was written, whatever spaces somebody's editor put between.
        return facts if content["crc32"] == _checksum(json.dumps(facts)) and isinstance(facts, dict) else {}
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return {}
