"""The log of a run: one JSON object a line, with ``step`` and ``kind`` (``train`` or ``eval``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ...files.journal import append_lines, rewrite_lines, whole_lines


def append_log(path: Path, line: Mapping[str, object]) -> None:
    """Add a line; it is on the disk when this returns.

    Raises:
        OSError: the file cannot be written, or the disk is full.
    """
    append_lines(path, [json.dumps(line)])


def read_log(path: Path) -> list[dict]:
    """The lines of a log; those that are damaged are left out, a missing file is empty."""
    lines = []
    for text in whole_lines(path):
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return lines


def forget_later_lines(path: Path, step: int) -> None:
    """Drop the lines of steps after ``step``, which are about to be repeated, and what is damaged.

    Raises:
        OSError: the file cannot be written.
    """
    if path.exists():
        rewrite_lines(path, [json.dumps(line) for line in read_log(path) if line["step"] <= step])
