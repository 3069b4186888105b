"""Rows of a CSV, TSV, JSON or JSONL file, read right or refused with the file, the row, the column and the remedy.

By the name's ending, in any case: .csv (commas, or the semicolons and tabs that spreadsheets write), .tsv, .json (a list of
objects, or one object a line), .jsonl and .ndjson. UTF-8, with or without a byte order mark. Columns are known by their
names without regard to case and to spaces around them. Values are taken through `Row`, which checks them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import TableError
from .csv_text import csv_rows
from .json_text import json_rows

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson")
_SHOWN = 60  # characters of a value in a message
_DIGITS = re.compile(r"\s*[+-]?[0-9]{1,40}\s*")
_DECIMAL_COMMA = re.compile(r"\s*[+-]?[0-9]+,[0-9]+\s*")
_EXACT = 2**53  # integers up to here are exact when written as 42.0


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
        """The row for error messages: file, number, and the line where that is another."""
        line = f" (line {self.line})" if self.line is not None else ""
        return f"{self.path}, row {self.number}{line}"

    def error(self, column: str, message: str) -> TableError:
        """An error about one cell, to be raised."""
        return TableError(f"{self.where}, column {column!r}: {message}")

    def value(self, column: str) -> Any:
        """A cell as it is.

        Raises:
            TableError: there is no such column.
        """
        if column not in self.cells:
            raise TableError(
                f"{self.where}: column {column!r} is missing; found {', '.join(self.cells) or 'no columns'}."
            )
        return self.cells[column]

    def has(self, column: str) -> bool:
        """Whether the column is there and the cell is not empty."""
        return self.cells.get(column) not in (None, "")

    def text(self, column: str) -> str:
        """A cell that must hold text, such as a path."""
        value = self.value(column)
        if not isinstance(value, str) or not value.strip():
            raise self.error(column, f"found {shown(value)}; expected text. Fill it in or remove the row.")
        return value

    def text_or_none(self, column: str) -> str | None:
        """Text, or None where the column or the cell's content is missing; a number is taken for its digits."""
        if not self.has(column):
            return None
        value = self.cells[column]
        if (
            isinstance(value, bool)
            or not isinstance(value, str | int | float)
            or value in (math.inf, -math.inf)
            or value != value
        ):
            raise self.error(column, f"found {shown(value)}; it must be text or a number.")
        return str(value)

    def number_in(self, column: str) -> float | None:
        """A cell that holds a finite number, or None if it is empty."""
        value = self.value(column)
        if value is None or value == "":
            return None
        number = _number(value)
        if number is None or not math.isfinite(number):
            hint = ""
            if isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value):
                hint = f" Write it with a decimal point: {value.strip().replace(',', '.')}."
            raise self.error(column, f"found {shown(value)}; expected a finite number or nothing.{hint}")
        return number

    def integer_in(self, column: str) -> int | None:
        """A cell that holds a whole number, also as 42.0, or None if the column or its content is missing."""
        if not self.has(column):
            return None
        value = self.cells[column]
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and _DIGITS.fullmatch(value):
            return int(value)
        number = _number(value)
        if number is None or not number.is_integer() or abs(number) > _EXACT:
            raise self.error(column, f"found {shown(value)}; expected a whole number or nothing.")
        return int(number)

    def choice(self, column: str, allowed: Mapping[str, str]) -> str:
        """The meaning that `allowed` gives to the cell's text; a whole number counts as its digits."""
        value = self.value(column)
        if isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer():
            value = str(int(value))
        if not isinstance(value, str) or value not in allowed:
            raise self.error(
                column, f"found {shown(value)}; allowed: {', '.join(allowed)}. Correct it or remove the row."
            )
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
        """Raise TableError that names the columns that are missing and those found."""
        missing = [column for column in needed if column not in self.columns]
        if missing:
            raise TableError(
                f"{self.path}: column{'s' if len(missing) > 1 else ''} {', '.join(map(repr, missing))} missing; "
                f"found {', '.join(self.columns) or 'none'}. Rename or add the column, or name the right format."
            )


def read_table(
    path: Path | str,
    columns: Iterable[str] = (),
    *,
    suffix: str | None = None,
    growing: bool = False,
    text_column: str | None = None,
) -> Table:
    """The whole file as a table.

    Args:
        columns: names that the caller asks for: a column of another case is called so. Others keep their spelling.
        suffix: how to read the file, in place of its name's ending.
        growing: the JSON lines are being appended to: a last line without its end is left out in place of an error.
        text_column: the column that a bare text in the place of a JSON object stands for.

    Raises:
        TableError: the file is missing, of another kind, damaged, or two columns have one name.
    """
    path = Path(path)
    rows = list(_rows(path, tuple(columns), suffix or path.suffix, growing, text_column))
    names = list(rows[0].cells) if rows else []
    return Table(path, names, [row for row in rows if row.number > 0])


def iterate_rows(path: Path | str, columns: Iterable[str] = ()) -> Iterator[Row]:
    """The rows one by one; a CSV's header comes first as row 0 with empty cells. See ``read_table``."""
    path = Path(path)
    return _rows(path, tuple(columns), path.suffix, False, None)


def read_text(path: Path | str) -> str:
    """A file's UTF-8 text with its line ends as they are, without the byte order mark.

    Raises:
        TableError: it cannot be read, or is other text.
    """
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        raise TableError(f"{path} cannot be read: there is no such file. Check the path.") from None
    except UnicodeDecodeError as error:
        raise TableError(
            f"{path} cannot be read: not UTF-8 text ({error}). Save it as UTF-8, or, if it is no text at all, as CSV or JSONL."
        ) from None
    except (OSError, ValueError) as error:
        raise TableError(f"{path} cannot be read: {error}.") from None


def shown(value: Any) -> str:
    """A value for a message: short, and without characters that a terminal would obey."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**_SHOWN:
        return "a number of very many digits"
    text = repr(value[:_SHOWN]) if isinstance(value, str) and len(value) > _SHOWN else repr(value)
    if isinstance(value, str) and len(value) > _SHOWN:
        return f"{text}... ({len(value)} characters)"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def _rows(path: Path, columns: tuple[str, ...], suffix: str, growing: bool, text_column: str | None) -> Iterator[Row]:
    suffix = suffix.lower()
    if suffix not in SUFFIXES:
        raise TableError(
            f"{path}: files of type {suffix or '(none)'} cannot be read; expected {', '.join(SUFFIXES)}. "
            "Save a Parquet table as JSONL first, with pandas: read_parquet and to_json(orient='records', lines=True)."
        )
    text = read_text(path)
    parsed: Iterable[tuple[int, int | None, dict[str, Any]]]
    if suffix in (".csv", ".tsv"):
        parsed = csv_rows(path, text, columns, "\t" if suffix == ".tsv" else None)
    else:
        parsed = json_rows(path, text, suffix == ".json", growing, text_column)
    for number, line, cells in parsed:
        yield Row(path, number, _renamed(f"{path}, row {number}" if number else str(path), cells, columns), line)


def _renamed(where: str, cells: Mapping[str, Any], columns: tuple[str, ...]) -> Mapping[str, Any]:
    """The cells under the caller's spelling of their columns."""
    known = {_plain(name): name for name in columns}
    renamed: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    for name, cell in cells.items():
        new = known.get(_plain(name), name)
        if new in renamed:
            raise TableError(
                f"{where}: columns {spelled[new]!r} and {name!r} are one name. Rename or remove one of them."
            )
        renamed[new], spelled[new] = cell, name
    return renamed


def _plain(name: str) -> str:
    return name.strip().casefold()


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and "_" in value:  # Python's own spelling, no table's
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
