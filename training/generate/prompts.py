"""Prompt files: one prompt a line, or a table with a prompt column."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from ...reward.errors import VideoAlignError


def read_prompts(path: Path) -> list[str]:
    """The prompts of a file, in order, each once.

    Args:
        path: ``.jsonl`` or ``.csv`` with a key or column "prompt"; any other name: text with one prompt a line, where
            empty lines and lines that begin with # are left out.

    Raises:
        VideoAlignError: the file cannot be read, a row has no prompt, or there is none at all.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise VideoAlignError(f"The prompts {path} cannot be read: {error}.") from None
    if path.suffix.lower() == ".jsonl":
        prompts = [_of_line(path, number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    elif path.suffix.lower() == ".csv":
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        prompts = [_filled(path, number, row.get("prompt")) for number, row in enumerate(rows, 2)]
    else:
        lines = (line.strip() for line in text.splitlines())
        prompts = [line for line in lines if line and not line.startswith("#")]
    if not prompts:
        raise VideoAlignError(f"{path} holds no prompt. Write one prompt a line.")
    return list(dict.fromkeys(prompts))


def _of_line(path: Path, number: int, line: str) -> str:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise VideoAlignError(f"{path}, line {number}: not valid JSON ({error}).") from None
    return _filled(path, number, row.get("prompt") if isinstance(row, dict) else None)


def _filled(path: Path, number: int, prompt: object) -> str:
    if not isinstance(prompt, str) or not prompt.strip():
        raise VideoAlignError(f"{path}, line {number}: no prompt; expected a text under 'prompt'.")
    return prompt.strip()
