"""The rows in JSON text: a list of objects, or one object a line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import TableError

_DEEPEST = 100
_LINE_END = re.compile(r"\r\n|\n|\r")  # not str.splitlines: U+2028 and others may stand in a prompt


def json_rows(
    path: Path, text: str, lists_only: bool, growing: bool, text_column: str | None
) -> Iterator[tuple[int, int | None, dict[str, Any]]]:
    """(number of the row from 1, its line or None in a list, its cells); see ``tables.read_table``.

    Args:
        lists_only: a single object that is the whole file is no row: the file's name promises a list.

    Raises:
        TableError: the text is not valid JSON, or not of objects; the row is named.
    """
    start = text.lstrip()[:1]
    if start == "[" or (lists_only and not _has_object_a_line(text)):
        values = _value(path, text, 1)
        if not isinstance(values, list):
            raise TableError(
                f"{path}: found {type(values).__name__}; expected a JSON list of objects, or one object a line."
            )
        for number, value in enumerate(values, 1):
            yield number, None, _cells(f"{path}, row {number}", value, text_column)
        return
    number = 0
    lines = _LINE_END.split(text)
    for line, line_text in enumerate(lines, 1):
        if not line_text.strip():
            continue
        try:
            value = _value(path, line_text, line)
        except TableError:
            if growing and line == len(lines):  # half a line, without its end: it is being written
                return
            raise
        number += 1
        yield number, line, _cells(f"{path}, row {number} (line {line})", value, text_column)


def parse_json(text: str) -> Any:
    """A value, where no key of an object occurs twice.

    Raises:
        ValueError: it is not valid JSON, nested too deeply for what is done with it later, or has a key twice.
    """
    try:
        value = json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if text.count("[") + text.count("{") > _DEEPEST and _depth(value) > _DEEPEST:
        raise ValueError("it is nested too deeply")
    return value


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        containers = [one for one in level if isinstance(one, dict | list)]
        level = [inner for one in containers for inner in (one.values() if isinstance(one, dict) else one)]
        depth += bool(containers)
    return depth


def parse_object(text: str) -> dict[str, Any]:
    """An object, as ``parse_json`` reads it.

    Raises:
        ValueError: likewise, or it is another value.
    """
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError(f"found {type(value).__name__}, expected an object")
    return value


def finite_or_none(value: Any) -> Any:
    """A value with NaN and infinity, which JSON cannot hold, as None."""
    if isinstance(value, dict):
        return {key: finite_or_none(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite_or_none(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path | str) -> dict[str, Any]:
    """The object in a JSON file that this package wrote, such as the settings that a folder belongs to.

    Raises:
        TableError: it cannot be read, or is damaged.
    """
    try:
        return parse_object(Path(path).read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise TableError(f"{path} cannot be read ({error}). Restore it, or choose another --output.") from None


def _has_object_a_line(text: str) -> bool:
    lines = [line for line in _LINE_END.split(text) if line.strip()]
    try:
        return (
            len(lines) > 0 and isinstance(parse_json(lines[0]), dict) and (len(lines) > 1 or lines[0].strip() != "{}")
        )
    except ValueError:
        return False


def _value(path: Path, text: str, line: int) -> Any:
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        raise TableError(
            f"{path}, line {line + error.lineno - 1}: not valid JSON ({error.msg} at column {error.colno}). Correct it; "
            "if the file was cut off, remove what is left of the last row."
        ) from None
    except ValueError as error:  # digits without end, a key twice, nesting
        raise TableError(f"{path}, line {line}: not usable as JSON ({error}). Correct or remove it.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise ValueError(f"the key {key[:60]!r} occurs twice in one object")
        members[key] = value
    return members


def _cells(where: str, value: Any, text_column: str | None) -> dict[str, Any]:
    if isinstance(value, str) and text_column is not None:
        return {text_column: value}
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise TableError(f'{where}: found {kind}; expected a JSON object like {{"path": "clip.mp4", "prompt": "..."}}.')
    return value
