"""The native form (see `preference_file`): one pair a line, its keys checked strictly."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...errors import PreferenceFileError
from ...files.tables import read_table, shown
from ..preference_file import PreferencePair, Preferences, Source


def read_native(path: Path, root: Path | None = None) -> Preferences:
    """Pairs of a native file. Raises PreferenceFileError that names the line, the key and what was found."""
    path = Path(path)
    pairs: list[PreferencePair] = []
    rows: list[int] = []
    first_use: dict[str, int] = {}
    for row in read_table(path, PreferencePair.model_fields):
        line = row.line if row.line is not None else row.number
        where = f"{path}, line {line}"
        pair = pair_of_line(row.cells, where)
        if pair.id is not None and first_use.setdefault(pair.id, line) != line:
            raise PreferenceFileError(
                f"{where}: id {pair.id!r} is already used on line {first_use[pair.id]}. Give every pair its own id."
            )
        pairs.append(pair)
        rows.append(line)
    return Preferences(pairs, Path(root or path.parent), path, "native", rows)


def pair_of_line(values: Mapping[str, Any], where: str) -> PreferencePair:
    """The pair of one line's JSON object; `where` names the line in the PreferenceFileError that says what is wrong."""
    try:
        return PreferencePair.model_validate(values)
    except ValidationError as error:
        raise PreferenceFileError(f"{where}: {_explain(error, values)}") from error


def _explain(error: ValidationError, values: Mapping[str, Any]) -> str:
    """The first problem of a validation error in one sentence: key, what was found, what is allowed."""
    problem = error.errors(include_url=False)[0]
    keys = [str(part) for part in problem["loc"] if part != "[key]"]
    key = ".".join(keys)
    if problem["type"] == "extra_forbidden":
        known = (Source if keys[0] == "source" and len(keys) > 1 else PreferencePair).model_fields
        close = difflib.get_close_matches(keys[-1], known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}."
        return f"key {key!r} is unknown; {hint} Correct or remove it."
    if problem["type"] == "missing":
        return f"key {key!r} is missing; found {', '.join(values) or 'no keys'}. Add it."
    return f"key {key!r}: found {shown(problem['input'])}; {problem['msg'][0].lower()}{problem['msg'][1:]}. Correct it."
