"""The log of a run: one JSON object a line, with ``step`` and ``kind`` (``train`` or ``eval``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...files.journal import append_records, keep_records, read_journal


def append_log(path: Path, line: Mapping[str, object]) -> None:
    """Add a line; it is on the disk when this returns.

    Raises:
        FileError: the file cannot be written, or the disk is full.
    """
    append_records(path, [line])


def read_log(path: Path) -> list[dict]:
    """The lines of a log; those that are half-written or damaged are left out, a missing file is empty."""
    return [line for line in read_journal(path).records if _is_whole(line)]


def _is_whole(line: Mapping[str, object]) -> bool:
    """Whether a line has its step, and numbers: it may be damaged and be JSON nevertheless."""
    step, kind = line.get("step"), line.get("kind", "")
    if isinstance(step, bool) or not isinstance(step, int) or not isinstance(kind, str):
        return False
    try:
        return all(isinstance(float(value), float) for name, value in line.items() if name != "kind")  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False


def forget_later_lines(path: Path, step: int) -> None:
    """Drop the lines of steps after ``step``, which are about to be repeated, and what is damaged.

    Raises:
        FileError: the file cannot be written.
    """
    keep_records(path, lambda line: _is_whole(line) and line["step"] <= step)
