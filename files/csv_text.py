"""CSV text: its rows, strictly read, and rows written as CSV.

A text that a spreadsheet would run as a formula (it begins with = + - @, a tab or a line break, and is no number) is written
with two apostrophes before it, which reading takes off again.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import TableError

_DELIMITERS = (",", ";", "\t")
_STARTS = r"[=+\-@\t\r\n＝＋－＠]"  # noqa: RUF001 - the wide ones of Chinese and Japanese spreadsheets too
_FORMULA = re.compile(rf"(?:'')*{_STARTS}")
_GUARDED = re.compile(rf"(?:'')+{_STARTS}")

_SPACED_QUOTE = re.compile(r' +"')

Cells = dict[str, Any]


def csv_text(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], header: bool = True) -> str:
    """Rows as CSV: the columns in this order, other keys left out, None and missing ones empty, lines ending in LF."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(map(_guarded, columns))
    for row in rows:
        writer.writerow("" if row.get(name) is None else _guarded(row[name]) for name in columns)
    return text.getvalue()


def csv_rows(path: Path, text: str, columns: Sequence[str], delimiter: str | None) -> Iterator[tuple[int, int, Cells]]:
    """(number of the row from 1, its line, its cells by column); the header comes first as row 0 with empty cells.

    Args:
        columns: names that are expected: they tell the delimiter where several are possible.
        delimiter: None tells it from the header.

    Raises:
        TableError: a quote is left open, a row has other cells than the header, a column occurs twice; the row is named.
    """
    with _cells_as_long_as(text):
        rows = _all_rows(path, text, columns, delimiter)
    yield from rows


def _all_rows(path: Path, text: str, columns: Sequence[str], delimiter: str | None) -> list[tuple[int, int, Cells]]:
    separator, skipped = _separator_line(text)
    delimiter = separator or delimiter or _delimiter(text, columns)
    try:
        rows = list(_parsed(path, text[skipped:], delimiter, False, int(skipped > 0)))
    except TableError as error:
        try:  # "path, prompt": a space after each comma, as some people write it
            rows = list(_parsed(path, text[skipped:], delimiter, True, int(skipped > 0)))
        except TableError:
            raise error from None
    if any(name.startswith(" ") for name in rows[0][2]) or any(map(_SPACED_QUOTE.match, _texts(rows))):
        rows = list(_parsed(path, text[skipped:], delimiter, True, int(skipped > 0)))
    return rows


@contextlib.contextmanager
def _cells_as_long_as(text: str) -> Iterator[None]:
    """Python's limit of 131072 characters a cell, which is the whole process's, lifted as far as a text needs it."""
    earlier = csv.field_size_limit()
    csv.field_size_limit(max(earlier, len(text)))
    try:
        yield
    finally:
        csv.field_size_limit(earlier)


def _parsed(path: Path, text: str, delimiter: str, spaced: bool, line: int) -> Iterator[tuple[int, int, Cells]]:
    """``line``: lines of the file before the text."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=spaced, strict=True)
    header: list[str] | None = None
    number, before = 0, line
    while True:
        start = before + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            row = f"row {number + 1}" if header else "the header"
            column = _open_column(text, start - line, header, delimiter)
            raise TableError(
                f"{path}, {row} (line {start}){column}: not valid CSV ({error}). Is a quote left open there? A quote inside a "
                'text is written twice: "".'
            ) from None
        before = line + reader.line_num
        if header is None:
            if not any(cell.strip() for cell in cells):
                continue
            header = _header(path, cells)
            yield 0, start, {name: None for name in header if name}
            continue
        if not any(cells):  # an empty line, or what a spreadsheet leaves of one
            continue
        number += 1
        yield number, start, _cells(f"{path}, row {number} (line {start})", cells, header)
    if header is None:
        raise TableError(f"{path}: the file is empty; expected a header line with column names.")


def _texts(rows: list[tuple[int, int, Cells]]) -> Iterator[str]:
    return (cell for number, _, cells in rows if number for cell in cells.values())


def _header(path: Path, names: list[str]) -> list[str]:
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise TableError(f"{path}: column {repeated[0]!r} occurs twice in the header. Rename one of them.")
    return [_unguarded(name) if name.strip() else "" for name in names]


def _cells(where: str, cells: list[str], header: list[str]) -> Cells:
    if [_unguarded(cell) for cell in cells] == header:
        raise TableError(f"{where}: the header line stands there again. Were two files joined? Remove it.")
    if len(cells) != len(header):
        raise TableError(
            f"{where}: {len(cells)} cells under {len(header)} columns ({', '.join(header)}). A text with a "
            "comma must stand in double quotes."
        )
    for column, (name, cell) in enumerate(zip(header, cells, strict=True)):
        if not name and column and cell:  # the first may be the numbers that pandas puts before a table
            raise TableError(
                f"{where}: found {cell[:60]!r} under no column name. A text with a comma must stand in double quotes; "
                "else name the column."
            )
    return {name: _unguarded(cell) for name, cell in zip(header, cells, strict=True) if name}


def _separator_line(text: str) -> tuple[str | None, int]:
    """Excel's first line ``sep=;``: the delimiter, and how many characters to skip."""
    match = re.match(r"sep=(.)(\r\n|\n|\r)", text, re.IGNORECASE)
    return (match[1], match.end()) if match else (None, 0)


def _delimiter(text: str, columns: Sequence[str]) -> str:
    """The delimiter that gives most of the expected columns; the comma where they are even."""
    expected = {name.casefold() for name in columns}

    def fit(delimiter: str) -> tuple[int, int]:
        try:
            names = next(csv.reader(io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=delimiter), [])
        except csv.Error:
            return 0, 0
        return len(expected & {name.strip().casefold() for name in names}), len(names) > 1

    return max(_DELIMITERS, key=fit)


def _open_column(text: str, line: int, header: list[str] | None, delimiter: str) -> str:
    """``, column 'prompt'`` where the line's last quote opens and is not closed in it."""
    lines = re.split(r"\r\n|\n|\r", text)
    if header is None or line > len(lines):
        return ""
    try:
        cells = next(csv.reader([lines[line - 1]], delimiter=delimiter), [])
    except csv.Error:
        return ""
    return f", column {header[len(cells) - 1]!r}" if 0 < len(cells) <= len(header) else ""


def _guarded(value: Any) -> Any:
    return f"''{value}" if isinstance(value, str) and _FORMULA.match(value) and not _is_number(value) else value


def _unguarded(cell: str) -> str:
    return cell[2:] if _GUARDED.match(cell) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
