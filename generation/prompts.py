"""Prompt files: one prompt a line, or a table with a prompt column and, for image-to-video models, an image column."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import VideoAlignError


@dataclass(frozen=True)
class PromptRow:
    """A prompt, and the picture (or clip) that its clips begin with, if there is one."""

    prompt: str
    image: Path | None = None


def read_prompts(path: Path) -> list[str]:
    """The prompts of a file, in order, each once; see ``read_prompt_rows``."""
    return list(dict.fromkeys(row.prompt for row in read_prompt_rows(path)))


def read_prompt_rows(path: Path) -> list[PromptRow]:
    """The prompts of a file with their images, in order, each once.

    Args:
        path: ``.jsonl`` or ``.csv`` with a key or column "prompt" and perhaps "image" (a path relative to the file); any
            other name: text with one prompt a line, where empty lines and lines that begin with # are left out.

    Raises:
        VideoAlignError: the file cannot be read, a row has no prompt, an image is missing, or there is no prompt at all.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise VideoAlignError(f"The prompts {path} cannot be read: {error}.") from None
    if path.suffix.lower() == ".jsonl":
        prompts = [_of_line(path, number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    elif path.suffix.lower() == ".csv":
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        prompts = [_filled(path, number, row) for number, row in enumerate(rows, 2)]
    else:
        lines = (line.strip() for line in text.splitlines())
        prompts = [PromptRow(line) for line in lines if line and not line.startswith("#")]
    if not prompts:
        raise VideoAlignError(f"{path} holds no prompt. Write one prompt a line.")
    return list(dict.fromkeys(prompts))


def _of_line(path: Path, number: int, line: str) -> PromptRow:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise VideoAlignError(f"{path}, line {number}: not valid JSON ({error}).") from None
    return _filled(path, number, row if isinstance(row, dict) else {})


def _filled(path: Path, number: int, row: Mapping[str, object]) -> PromptRow:
    prompt, image = row.get("prompt"), row.get("image")
    if not isinstance(prompt, str) or not prompt.strip():
        raise VideoAlignError(f"{path}, line {number}: no prompt; expected a text under 'prompt'.")
    if not image:
        return PromptRow(prompt.strip())
    file = path.parent / str(image)
    if not file.is_file():
        raise VideoAlignError(
            f"{path}, line {number}: the image {file} does not exist. Paths are relative to the file."
        )
    return PromptRow(prompt.strip(), file)
