"""The log of a run, read back: one JSON object a line, with ``step`` and ``kind``."""

from __future__ import annotations

from pathlib import Path

from ...files.journal import read_journal


def read_log(path: Path) -> list[dict]:
    """The lines of ``log.jsonl``; half-written and damaged ones are left out, a missing file is empty."""
    return read_journal(path).records
