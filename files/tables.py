"""Rows of a CSV, JSON or JSONL file, with errors that name the file, the row and the column."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import PreferenceFileError

SUFFIXES = (".csv", ".json", ".jsonl")


@dataclass(frozen=True)
class Row:
    """One row: its cells by column, and how to name it in a message."""

    path: Path
    number: int
    """Counted from 1 without the header."""
    cells: Mapping[str, Any]
    line: int | None = None

    @property
    def where(self) -> str:
        line = f" (line {self.line})" if self.line is not None else ""
        return f"{self.path}, row {self.number}{line}"

    def error(self, column: str, message: str) -> PreferenceFileError:
        return PreferenceFileError(f"{self.where}, column {column!r}: {message}")

    def value(self, column: str) -> Any:
        if column not in self.cells:
            raise PreferenceFileError(
                f"{self.where}: column {column!r} is missing; found {', '.join(self.cells) or 'no columns'}."
            )
        return self.cells[column]

    def text(self, column: str) -> str:
        """A cell that must hold text, such as a path."""
        value = self.value(column)
        if not isinstance(value, str) or not value.strip():
            raise self.error(column, f"found {value!r}; expected text. Fill it in or remove the row.")
        return value

    def number_in(self, column: str) -> float | None:
        """A cell that holds a finite number, or None if it is empty."""
        value = self.value(column)
        if value is None or value == "":
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if isinstance(value, bool) or not math.isfinite(number):
            raise self.error(column, f"found {value!r}; expected a finite number or nothing.")
        return number

    def choice(self, column: str, allowed: Mapping[str, str]) -> str:
        """The meaning that `allowed` gives to the cell's text."""
        value = self.value(column)
        if not isinstance(value, str) or value not in allowed:
            raise self.error(column, f"found {value!r}; allowed: {', '.join(allowed)}. Correct it or remove the row.")
        return allowed[value]


@dataclass(frozen=True)
class Table:
    """All rows of a file. `columns` is a CSV's header, or the first object's keys."""

    path: Path
    columns: Sequence[str]
    rows: list[Row]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def require(self, needed: Iterable[str]) -> None:
        """Raise PreferenceFileError that names the columns that are missing and those found."""
        missing = [column for column in needed if column not in self.columns]
        if missing:
            raise PreferenceFileError(
                f"{self.path}: column{'s' if len(missing) > 1 else ''} {', '.join(map(repr, missing))} missing; "
                f"found {', '.join(self.columns) or 'none'}. Rename or add the column, or name the right format."
            )


def _csv_rows(path: Path) -> Iterator[Row]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, None)
        if not header:
            raise PreferenceFileError(f"{path}: the file is empty; expected a header line with column names.")
        repeated = sorted({name for name in header if header.count(name) > 1})
        if repeated:
            raise PreferenceFileError(f"{path}: column {repeated[0]!r} occurs twice in the header. Rename one of them.")
        yield Row(path, 0, dict.fromkeys(header), 1)
        number, line = 0, reader.line_num
        for cells in reader:
            start, line = line + 1, reader.line_num
            if not cells:
                continue
            number += 1
            row = Row(path, number, dict(zip(header, cells, strict=False)), start)
            if len(cells) != len(header):
                raise PreferenceFileError(
                    f"{row.where}: {len(cells)} cells under {len(header)} columns ({', '.join(header)}). A text with a "
                    "comma must stand in double quotes."
                )
            yield row


def _json_rows(path: Path) -> Iterator[Row]:
    def checked(number: int, values: Any, line: int | None) -> Row:
        if not isinstance(values, dict):
            where = Row(path, number, {}, line).where
            raise PreferenceFileError(f"{where}: found {type(values).__name__}; expected a JSON object.")
        return Row(path, number, values, line)

    if path.suffix == ".json":
        try:
            values = json.loads(path.read_text(encoding="utf-8-sig"))
        except json.JSONDecodeError as error:
            raise PreferenceFileError(f"{path}, line {error.lineno}: not valid JSON ({error.msg}).") from error
        if not isinstance(values, list):
            raise PreferenceFileError(f"{path}: found {type(values).__name__}; expected a JSON list of objects.")
        for number, item in enumerate(values, start=1):
            yield checked(number, item, None)
        return
    with open(path, encoding="utf-8-sig") as file:
        number = 0
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            number += 1
            try:
                values = json.loads(text)
            except json.JSONDecodeError as error:
                raise PreferenceFileError(f"{path}, line {line}: not valid JSON ({error.msg}).") from error
            yield checked(number, values, line)


def iterate_rows(path: Path) -> Iterator[Row]:
    """The rows one by one; a CSV's header comes first as row 0 with empty cells."""
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise PreferenceFileError(
            f"{path}: files of type {path.suffix or '(none)'} cannot be read; expected {', '.join(SUFFIXES)}. "
            "Save a Parquet table as JSONL first, with pandas: read_parquet and to_json(orient='records', lines=True)."
        )
    try:
        yield from _csv_rows(path) if path.suffix == ".csv" else _json_rows(path)
    except UnicodeDecodeError as error:
        raise PreferenceFileError(f"{path}: not UTF-8 text ({error}). Save it as UTF-8.") from error
    except csv.Error as error:
        raise PreferenceFileError(f"{path}: not a valid CSV file ({error}).") from error


def read_table(path: Path) -> Table:
    """The whole file as a table."""
    rows = list(iterate_rows(path))
    columns = list(rows[0].cells) if rows else []
    return Table(Path(path), columns, [row for row in rows if row.number > 0])
