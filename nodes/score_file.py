"""Score files: one clip a row, CSV or JSONL by the name's ending, appended to for as long as one likes.

The columns are those of ``videoalign score`` as far as both have them, so that either reads the other's file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from ..errors import VideoAlignError
from ..files.csv_text import csv_text
from ..files.file_lock import locked
from ..files.journal import append_text
from ..files.tables import Row, read_table, read_text
from .scored_clip import DIMENSIONS, ScoredClip

COLUMNS = (
    "time", "id", "prompt", "seed", "model", "VQ", "MQ", "TA", "Overall",
    "VQ_raw", "MQ_raw", "TA_raw", "total_frames", "fps", "path",
)  # fmt: skip
ENDINGS = (".csv", ".jsonl")


def score_path(filename: str, folder: Path) -> Path:
    """The file that ``filename`` names inside ``folder``.

    Raises:
        VideoAlignError: another ending, an empty name, or a name that leads out of the folder.
    """
    name = filename.strip()
    if Path(name).suffix.lower() not in ENDINGS:
        raise VideoAlignError(f"The score file {filename!r} must end in .csv or .jsonl.")
    folder = Path(folder).resolve()
    path = (folder / name).resolve()
    if not path.is_relative_to(folder):
        raise VideoAlignError(f"The score file {filename!r} leads out of {folder.name}/; give a name inside it.")
    return path


def score_row(clip: ScoredClip, when: str) -> dict:
    """One clip as a flat row; what is unknown is None."""
    return {
        "time": when,
        "id": clip.name,
        "prompt": clip.prompt,
        "seed": clip.seed,
        "model": clip.model,
        **{name: getattr(clip, name) for name in (*DIMENSIONS, "Overall")},
        **{f"{name}_raw": clip.raw.get(name) for name in DIMENSIONS},
        "total_frames": clip.total_frames,
        "fps": clip.fps,
        "path": clip.path,
    }


def append_scores(path: Path, clips: Sequence[ScoredClip]) -> int:
    """Append a row for each clip with one write; returns how many rows the file has now.

    Raises:
        VideoAlignError: the file has other columns, or cannot be written.
    """
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    rows = [score_row(clip, when) for clip in clips]
    with locked(path):
        new, table = not path.exists() or not path.stat().st_size, path.suffix.lower() == ".csv"
        if table and not new:
            _check_header(path)
        before = 0 if new else len(read_scores(path))  # never into a file of another kind
        if table:
            text = csv_text(rows, COLUMNS, header=new)
        else:
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        append_text(path, text, lines=not table)
    return before + len(rows)


def read_scores(path: Path) -> tuple[ScoredClip, ...]:
    """Read a score file of this module or of ``videoalign score``; rows that carry an error instead of scores are left out.

    Raises:
        VideoAlignError: it does not exist, cannot be read, or a row has no scores.
    """
    if not path.is_file():
        raise VideoAlignError(f"There is no score file {path}. Check the name, or save scores there first.")
    table = read_table(path, (*COLUMNS, "raw", "error"), growing=True)
    if not table.columns and path.stat().st_size:
        raise VideoAlignError(f"{path} cannot be read as a score file: it holds no whole row.")
    return tuple(_clip(row) for row in table if not row.has("error"))


def _check_header(path: Path) -> None:
    """Refuse a CSV that ours cannot be appended to: other columns, or another separator, as a spreadsheet saves them."""
    first = read_text(path).partition("\n")[0].rstrip("\r")
    if first != ",".join(COLUMNS):
        raise VideoAlignError(
            f"{path} has the columns {first}; Save Scores writes {','.join(COLUMNS)}. Choose another file name."
        )


def _clip(row: Row) -> ScoredClip:
    raw = row.cells.get("raw")
    if not isinstance(raw, dict):
        names = [name for name in DIMENSIONS if row.has(f"{name}_raw")]
        raw = {name: row.number_in(f"{name}_raw") for name in names}
    elif not all(isinstance(value, int | float) for value in raw.values()):
        raise row.error("raw", "expected a number for each dimension.")
    scores = {name: row.number_in(name) if row.has(name) else None for name in (*DIMENSIONS, "Overall")}
    if scores["VQ"] is None or scores["MQ"] is None:
        raise VideoAlignError(f"{row.where} has no VQ and MQ. Is it a score file?")
    return ScoredClip(
        **scores,
        name=row.text_or_none("id") or f"row {row.number}",
        prompt=row.text_or_none("prompt"),
        model=row.text_or_none("model"),
        seed=row.integer_in("seed"),
        total_frames=row.integer_in("total_frames"),
        fps=row.number_in("fps") if row.has("fps") else None,
        raw={name: float(value) for name, value in raw.items()},
        path=row.text_or_none("path"),
    )
