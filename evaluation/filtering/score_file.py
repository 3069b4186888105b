"""Score files with whatever columns they have: one judge's, several judges', or a spreadsheet's own."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...clips.find import caption_beside
from ...errors import VideoAlignError
from ...files.portable_paths import plain_path, table_path
from ...files.tables import SUFFIXES, Row, read_table
from ...measures.clip_measures import DIMENSIONS as MEASURES
from ...reward.dimensions import DIMENSIONS, RATED

TEXTS = ("id", "path", "prompt", "error", "errors", "judge", "notes", "lower_is_better")
"""Columns that hold no measure."""
_MEASURES_OF_WHICH_LESS_IS_BETTER = {one.name for one in MEASURES if not one.higher_is_better}


class FilterError(VideoAlignError):
    """The score file, a gate or the output cannot be used."""


@dataclass(frozen=True)
class ScoredRow:
    """One clip with one caption.

    Attributes:
        row: of the file; size and raw scores as columns of their own, as a CSV has them.
        path: as the file spells it.
        file: where it was found, or where it should be.
        prompt: its caption, of the row or of the .txt file beside the clip; None where there is neither.
        error: why it has no scores, or None.
    """

    row: Row
    path: str
    file: Path
    prompt: str | None
    error: str | None

    @property
    def id(self) -> str:
        """Its id in the file, else its path."""
        return self.row.text_or_none("id") or self.path

    def value(self, column: str) -> float | None:
        """A number of the row, or None where it has none.

        Raises:
            TableError: the cell holds something else.
        """
        return self.row.number_in(column) if column in self.row.cells else None

    def refusals(self) -> str:
        """Which of several judges could not judge it, and why; empty where none says so."""
        cell = self.row.cells.get("errors")
        if isinstance(cell, Mapping):
            return "; ".join(f"{name}: {text}" for name, text in cell.items())
        return cell if isinstance(cell, str) else ""

    def numbers(self, columns: Sequence[str]) -> dict[str, float]:
        """What it has in these columns; whole numbers that were written as such stay so."""
        found = {column: self.value(column) for column in columns}
        whole = {column for column in columns if re.fullmatch(r"[+-]?[0-9]{1,15}", str(self.row.cells.get(column)))}
        return {name: int(value) if name in whole else value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class ScoreFile:
    """All rows of a score file.

    Attributes:
        path: the file.
        rows: in its order, each clip and caption once.
        columns: those that hold numbers.
        judges: names in the column judge.
        lower: columns of which the rows say that less is better, as those of several judges do.
    """

    path: Path
    rows: Sequence[ScoredRow]
    columns: Sequence[str]
    judges: frozenset[str]
    lower: frozenset[str] = frozenset()

    def less_is_better(self, column: str) -> bool:
        """As the file says, or of a measure such as shake, also as measures.shake; of other columns more is better."""
        judge, _, name = column.rpartition(".")
        return column in self.lower or (judge in ("", "measures") and name in _MEASURES_OF_WHICH_LESS_IS_BETTER)

    def column(self, name: str) -> str:
        """The column that a user calls ``name``: as it stands, in another case, or without its judge (motion for measures.motion).

        Raises:
            FilterError: there is none, or there are several; the message lists the columns.
        """
        if name in self.columns:
            return name
        judge, _, short = name.partition(".")
        alike = [one for one in self.columns if one.casefold() == name.casefold()]
        alike = alike or [one for one in self.columns if one.rpartition(".")[2].casefold() == name.casefold()]
        if not alike and short in self.columns and self.judges == {judge}:
            return short
        if len(alike) == 1:
            return alike[0]
        if alike:
            raise FilterError(f"{self.path}: {name!r} may be {' or '.join(alike)}; give the whole name.")
        near = difflib.get_close_matches(name, self.columns, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise FilterError(
            f"{self.path} has no column {name!r} with numbers.{hint} It has {', '.join(self.columns) or 'none'}."
        )


def find_score_file(given: Path) -> Path:
    """The score file itself, or the only one in a folder (its name begins with "scores").

    Raises:
        FilterError: the folder has none, or several.
    """
    if not given.is_dir():
        return given
    files = sorted(
        file for file in given.iterdir() if file.suffix.lower() in SUFFIXES and file.name.lower().startswith("scores")
    )
    if len(files) != 1:
        has = f"{len(files)}: {', '.join(file.name for file in files)}" if files else "none"
        raise FilterError(
            f"The folder {given} should hold one file scores*.csv or scores*.jsonl, of videoalign score; it holds {has}. "
            "Name the file."
        )
    return files[0]


def read_score_file(path: Path, root: Path | None = None) -> ScoreFile:
    """Read a file of ``videoalign score``, or any table with path and columns of numbers.

    A row that repeats another one counts once.

    Args:
        root: folder that relative paths start from; without it a clip is looked for beside the file, then from the current folder.

    Raises:
        TableError: the file cannot be read, or has no column path.
        FilterError: it has no row, or two rows of one clip and caption differ.
    """
    table = read_table(path, (*TEXTS, *RATED))
    table.require(["path"])
    if not table.rows:
        raise FilterError(f"{path} has no rows.")
    rows: dict[tuple[str, str | None], ScoredRow] = {}
    for row in table:
        one = _scored(replace(row, cells=_flat(row.cells)), root)
        name = plain_path(one.path), one.prompt
        same = rows.setdefault(name, one)
        if same is not one and _scores(same) != _scores(one):
            raise row.error(
                "path", f"row {same.row.number} has other scores of {one.path} with the same prompt. Keep one of them."
            )
    names = dict.fromkeys(name for one in rows.values() for name in one.row.cells if name not in TEXTS)
    columns = [name for name in names if any(_is_number(one.row.cells.get(name)) for one in rows.values())]
    judges = frozenset(str(one.row.cells["judge"]) for one in rows.values() if one.row.has("judge"))
    lower = frozenset(name for one in rows.values() for name in _names(one.row.cells.get("lower_is_better")))
    return ScoreFile(path, list(rows.values()), columns, judges, lower)


def _scored(row: Row, root: Path | None) -> ScoredRow:
    path = row.text("path")
    folders = [row.path.parent, Path()] if root is None else [root]
    files = [table_path(folder, path) for folder in folders]
    file = next((file for file in files if os.path.isfile(file)), files[0])
    error = str(row.value("error")) if row.has("error") else None
    return ScoredRow(row, path, file, _caption(row, file), error)


def _caption(row: Row, file: Path) -> str | None:
    prompt = row.text_or_none("prompt")
    if prompt is not None and prompt.strip():
        return prompt
    return (caption_beside(file) or None) if os.path.isfile(file.with_suffix(".txt")) else None


def _scores(one: ScoredRow) -> dict[str, object]:
    return {name: cell for name, cell in one.row.cells.items() if name not in ("id", "path")}


def _flat(cells: Mapping[str, object]) -> dict[str, object]:
    """The cells as a CSV has them; with the sum of VQ, MQ and TA where there is no Overall, as in VideoReward."""
    flat: dict[str, object] = {}
    for key, value in cells.items():
        judge, dot, name = key.rpartition(".")  # one of several has its own size and raw scores
        if name == "raw" and isinstance(value, Mapping):
            flat.update({f"{judge}{dot}{one}_raw": raw for one, raw in value.items()})
        elif name == "size" and isinstance(value, list) and len(value) == 2:
            flat[f"{judge}{dot}height"], flat[f"{judge}{dot}width"] = value
        else:
            flat[key] = value
    if "Overall" not in flat and all(_is_number(flat.get(name)) for name in DIMENSIONS):
        flat["Overall"] = sum(float(str(flat[name])) for name in DIMENSIONS)
    return flat


def _names(cell: object) -> list[str]:
    """A list of names as JSON has it, or with spaces between them."""
    return cell.split() if isinstance(cell, str) else [str(name) for name in cell] if isinstance(cell, list) else []


def _is_number(cell: object) -> bool:
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        return False
    try:
        float(cell)
    except (ValueError, OverflowError):
        return False
    return True
