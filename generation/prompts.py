"""Prompt files: one prompt a line, or a table with a prompt column and, for image-to-video models, an image column."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import TableError
from ..files.json_text import parse_json
from ..files.portable_paths import table_path
from ..files.tables import SUFFIXES, Row, read_table, read_text

_OTHERS = (
    ".yaml",
    ".yml",
    ".toml",
    ".ini",
    ".xml",
    ".html",
    ".md",
    ".xlsx",
    ".xls",
    ".ods",
    ".parquet",
    ".arrow",
    ".gz",
    ".zip",
)
_COLUMNS = ("prompt", "image", "prompt_shorter", "prompt_en", "dimension")
_LINE_END = re.compile(r"\r\n|\n|\r")  # not str.splitlines: U+2028 and others may stand in a prompt


@dataclass(frozen=True)
class PromptRow:
    """A prompt.

    Attributes:
        prompt: what the model is told.
        image: the picture (or clip) that its clips begin with, if there is one.
        short: what VBench calls it, where that is another text.
        dimensions: of VBench, for which it is there.
    """

    prompt: str
    image: Path | None = None
    short: str | None = None
    dimensions: tuple[str, ...] = ()


def read_prompts(path: Path) -> list[str]:
    """The prompts of a file, in order, each once; see ``read_prompt_rows``."""
    return list(dict.fromkeys(row.prompt for row in read_prompt_rows(path)))


def read_prompt_rows(path: Path) -> list[PromptRow]:
    """The prompts of a file with their images, in order, each once.

    Args:
        path: a table (see ``files.tables``) with a key or column "prompt" (or VBench's "prompt_en") and perhaps "image" (a path
            relative to the file), "prompt_shorter" and "dimension" (one, or a list); any other name: text with one prompt a line, where empty lines and lines that begin with # are left out; a prompt
            that begins with # is written ``\\#``.

    Raises:
        TableError: the file cannot be read, a row has no prompt, an image is missing, or there is no prompt at all.
    """
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        table = read_table(path, _COLUMNS, text_column="prompt")
        prompts = [_filled(row) for row in table]
    elif suffix in _OTHERS:
        raise TableError(
            f"{path} is no list of prompts: a {suffix} file is not read. Write one prompt a line in a .txt file, or a .csv or .jsonl "
            "table with a column 'prompt'."
        )
    else:
        lines = [line.strip() for line in _LINE_END.split(read_text(path))]
        prompts = [
            PromptRow(line.removeprefix("\\") if line.startswith("\\#") else line)
            for line in lines
            if line and line[0] != "#"
        ]
        if prompts and (prompts[0].prompt in ("[", "{") or _is_object(prompts[0].prompt)):
            raise TableError(
                f"{path} looks like JSON, not like a text with one prompt a line. Name it .json or .jsonl."
            )
    if not prompts:
        raise TableError(f"{path} holds no prompt. Write one prompt a line.")
    return list(dict.fromkeys(prompts))


def _is_object(line: str) -> bool:
    try:
        return isinstance(parse_json(line), dict)
    except ValueError:
        return False


def _filled(row: Row) -> PromptRow:
    column = "prompt_en" if "prompt" not in row.cells and "prompt_en" in row.cells else "prompt"
    prompt, image, short = row.text(column).strip(), row.text_or_none("image"), row.text_or_none("prompt_shorter")
    file = None
    if image is not None:
        file = table_path(row.path.parent, image)
        if not os.path.isfile(file):
            raise row.error("image", f"the image {file} does not exist. Paths are relative to the file.")
    given = row.cells.get("dimension") or ()
    dimensions = [given] if isinstance(given, str) else given
    named = isinstance(dimensions, list) and all(isinstance(name, str) for name in dimensions)
    return PromptRow(prompt, file, short.strip() if short else None, tuple(dimensions) if named else ())
