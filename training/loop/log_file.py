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
    """The lines of a log: an integer ``step``, numbers, texts. Others are damaged and left out; a missing file is empty."""
    return [line for line in read_journal(path).records if _is_whole(line)]


def forget_later_lines(path: Path, step: int) -> None:
    """Drop the lines of steps after ``step``, which are about to be repeated, and what is damaged.

    Raises:
        FileError: the file cannot be written.
    """
    keep_records(path, lambda line: not _is_whole(line) or line["step"] <= step)


def _is_whole(line: Mapping[str, object]) -> bool:
    """A log has no checksum, being read by people and other programs; what is no line of a log is known by its form."""
    values = (value for name, value in line.items() if name != "kind")
    return (
        type(line.get("step")) is int
        and line.get("kind") in (None, "train", "eval")
        and all(type(value) in (int, float) for value in values)
    )
