"""What judges said of the clips that people choose between: the score files beside them, told after a choice alone.

A person who knows a judge's marks follows them, and choices that follow a judge say nothing new of the clips. So the marks of a
pair are looked up once its choice is on the disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...files.portable_paths import table_path
from ...files.tables import Row, read_table
from ...reward.judge import FIRST_JUDGE
from ...reward.score_columns import mark_names, reasons_of
from .candidates import Candidate

SCORE_FILES = ("scores.jsonl", "scores.csv")
"""Names of the score files that are looked for: of `videoalign score`, *Save Scores* or *Choose A or B*."""


class JudgedClips:
    """The marks and reasons in a folder's score files, read again when these have changed.

    Args:
        folder: with the score files; it needs none, and need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self._files = [Path(folder) / name for name in SCORE_FILES]
        self._known: tuple[object, dict[Path, list[Row]]] = (None, {})

    def of(self, clip: Candidate) -> list[dict[str, Any]]:
        """What each judge said of a clip, JSON-ready: ``judge``, ``marks`` (number by name) and ``reasons`` (text by name).

        A judge's last word counts. Rows that were judged against another prompt are left out, as are those without marks.

        Raises:
            VideoAlignError: a score file cannot be read.
        """
        said: dict[str, dict[str, Any]] = {}
        for row in self._rows().get(clip.path.resolve(), ()):
            if row.text_or_none("prompt") not in (None, clip.prompt):
                continue
            judge = row.text_or_none("judge") or FIRST_JUDGE
            marks = {name: float(row.cells[name]) for name in mark_names(row.cells, judge)}
            if marks:
                said[judge] = {"judge": judge, "marks": marks, "reasons": reasons_of(row)}
        return list(said.values())

    def _rows(self) -> dict[Path, list[Row]]:
        state = [_state(file) for file in self._files]
        if state != self._known[0]:
            rows: dict[Path, list[Row]] = {}
            for file in self._files:
                for row in read_table(file, ("path", "prompt", "judge"), growing=True) if file.is_file() else ():
                    if row.has("path"):
                        rows.setdefault(table_path(file.parent, row.text("path")).resolve(), []).append(row)
            self._known = state, rows
        return self._known[1]


def _state(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
