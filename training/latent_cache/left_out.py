"""Rows that a cache leaves out because a clip of theirs cannot be used, with the cause of each.

One bad clip among thousands must not end a run that encodes for hours. Which rows are left out depends on the clips alone,
so that a run that is resumed trains on the same rows: what shows only while a clip is encoded is kept beside the entries.

    FOLDER/latents/KEY.refused.json, FOLDER/images/KEY.refused.json     {"file", "error"}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ...errors import ClipError
from ...files.atomic_file import write_json
from ...files.json_text import read_json
from .cache import CacheRow, Clips, Row, clips_of, is_whole

_SHOWN = 3


class LeftOut:
    """The rows that are left out so far.

    Attributes:
        causes: clips of a row -> why it is left out, the row's name in front.
    """

    def __init__(self, rows: Sequence[CacheRow]) -> None:
        self._rows = rows
        self.causes: dict[Clips, str] = {}

    def add(self, row: CacheRow, why: str) -> None:
        """Leave a row out; the first cause counts."""
        self.causes.setdefault(clips_of(row), f"{row.name}: {why}")

    def add_clips(self, faults: Mapping[Path, str]) -> None:
        """Leave out every row with one of these clips."""
        for row in self._rows:
            for clip in row.clips.values():
                if clip in faults:
                    self.add(row, faults[clip])

    def usable(self, rows: Iterable[Row]) -> list[Row]:
        """The others, in their order."""
        return [row for row in rows if clips_of(row) not in self.causes]

    def too_many(self) -> ClipError | None:
        """The error where more than half of the rows are left out: then it is hardly the clips that are wrong."""
        lost = len(self._rows) - len(self.usable(self._rows))
        if 2 * lost <= len(self._rows):
            return None
        first = list(dict.fromkeys(self.causes.values()))[:_SHOWN]
        return ClipError(
            f"{lost} of {len(self._rows)} rows cannot be used; up to half would be left out. " + " ".join(first)
        )


def refuse(entry: Path, file: Path, error: Exception) -> None:
    """Keep beside an entry's place why it cannot be made."""
    write_json(_refusal(entry), {"file": str(file), "error": str(error)})


def is_settled(entry: Path) -> bool:
    """Whether an entry is there, or known not to be possible."""
    return is_whole(entry) or _refusal(entry).exists()


def refusal(entry: Path) -> str | None:
    """Why an entry cannot be made; None where it is there."""
    if is_whole(entry):
        return None
    file = _refusal(entry)
    if not file.exists():
        return None
    return f"{read_json(file)['error']} (Delete {file} to try it again.)"


def forget(entries: Iterable[Path]) -> None:
    """Have the entries that could not be made tried again."""
    for entry in entries:
        _refusal(entry).unlink(missing_ok=True)


def _refusal(entry: Path) -> Path:
    return entry.with_suffix(".refused.json")
