"""Score files: one clip a row, CSV or JSONL by the name's ending, appended to for as long as one likes.

The columns are those of ``videoalign score`` as far as both have them, so that either reads the other's file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from datetime import datetime, timezone
from pathlib import Path

from ..errors import VideoAlignError
from ..files.csv_text import csv_text
from ..files.file_lock import locked
from ..files.journal import append_text
from ..files.portable_paths import path_text, refused_by_windows
from ..files.tables import Row, read_table, read_text
from ..reward.dimensions import DIMENSIONS, OVERALL, RATED, VIDEO_REWARD_DIMENSIONS
from ..reward.judge import FIRST_JUDGE, Dimension
from ..reward.panel import lower_is_better as lower_names
from ..reward.score_columns import ABOUT, LOWER, is_panel, lower_is_better, mark_names, reasons_of
from .known_marks import detail_names, meaning_of
from .scored_clip import ScoredClip

_KNOWN = (*sorted(ABOUT), *RATED, *(f"{name}_raw" for name in DIMENSIONS), "raw", "reasons", "errors", LOWER)
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
    if reason := refused_by_windows(path.name):
        raise VideoAlignError(
            f"The score file {filename!r} cannot be used on every system: {reason}. Give another name."
        )
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
        **clip.scores,
        **({f"{name}_raw": clip.raw.get(name) for name in DIMENSIONS} if clip.judge == FIRST_JUDGE or clip.raw else {}),
        **{f"{name}_reason": text for name, text in clip.reasons.items()},
        **clip.details,
        "total_frames": clip.total_frames,
        "fps": clip.fps,
        "path": None if clip.path is None else path_text(clip.path),
        **_of_other_judges(clip),
        "judge": clip.judge,
        "notes": "; ".join(clip.notes) or None,
    }


def _of_other_judges(clip: ScoredClip) -> dict:
    """Who refused the clip, of a panel; and of which marks less is better: whoever reads the row knows no judge."""
    if clip.judge == FIRST_JUDGE:
        return {}
    refused = "; ".join(f"{name}: {text}" for name, text in clip.errors.items()) or None
    lower = " ".join(lower_names(clip.all_dimensions)) or None
    return {**({"errors": refused} if is_panel(clip.judge) else {}), LOWER: lower}


def append_scores(path: Path, clips: Sequence[ScoredClip]) -> int:
    """Append a row for each clip with one write; returns how many rows the file has now.

    Raises:
        VideoAlignError: the file has other columns, or cannot be written.
    """
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    rows = [score_row(clip, when) for clip in clips]
    with locked(path):
        new, table = not path.exists() or not path.stat().st_size, path.suffix.lower() == ".csv"
        columns = list(dict.fromkeys(name for row in rows for name in row))
        if table and not new:
            # A file of 0.1.0 has no notes and does not name the judge: rows of VideoReward, which its rows are of, go on in it.
            silent = all(row["judge"] == FIRST_JUDGE for row in rows)
            columns = _header_for(path, columns, {"judge", "notes"} if silent else {"notes"})
        before = 0 if new else len(read_scores(path))  # never into a file of another kind
        if table:
            text = csv_text(rows, columns, header=new)
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
    table = read_table(path, _KNOWN, growing=True)
    if not table.columns and path.stat().st_size:
        raise VideoAlignError(f"{path} cannot be read as a score file: it holds no whole row.")
    rows = [row for row in table if not _failed(row)]
    every: dict[
        str, dict[str, None]
    ] = {}  # judge -> the marks that some clip has: a clip that a judge refused has cells without
    for row in rows:
        judge = row.text_or_none("judge") or FIRST_JUDGE
        every.setdefault(judge, {}).update(dict.fromkeys(mark_names(row.cells, judge)))
    return tuple(_clip(row, list(every[row.text_or_none("judge") or FIRST_JUDGE])) for row in rows)


def _failed(row: Row) -> bool:
    """A row of ``videoalign score`` with an error in the place of scores; a number under that name is something else's."""
    return row.has("error") and row.has("path") and isinstance(row.cells["error"], str)


def _header_for(path: Path, columns: Sequence[str], dispensable: set[str]) -> list[str]:
    """The columns of a CSV that rows with ``columns`` can be appended to.

    Raises:
        VideoAlignError: it lacks one of them, or has another separator, as a spreadsheet saves them.
    """
    first = read_text(path).partition("\n")[0].rstrip("\r")
    header = first.split(",")
    if not set(columns) - dispensable <= set(header):
        raise VideoAlignError(
            f"{path} has the columns {', '.join(header)}; Save Scores writes {', '.join(columns)}. Choose another file name."
        )
    return header


def _clip(row: Row, marks: list[str]) -> ScoredClip:
    raw = row.cells.get("raw")
    if not isinstance(raw, dict):
        names = [name for name in DIMENSIONS if row.has(f"{name}_raw")]
        raw = {name: row.number_in(f"{name}_raw") for name in names}
    elif not all(isinstance(value, int | float) for value in raw.values()):
        raise row.error("raw", "expected a number for each dimension.")
    judge = row.text_or_none("judge") or FIRST_JUDGE
    names = list(RATED) if judge == FIRST_JUDGE else mark_names(row.cells, judge)
    if is_panel(judge) and names:
        names = marks
    details = detail_names(judge, names)
    names = [name for name in names if name not in details]
    scores = {name: row.number_in(name) if row.has(name) else None for name in names}
    if judge == FIRST_JUDGE and (scores["VQ"] is None or scores["MQ"] is None):
        raise VideoAlignError(f"{row.where} has no VQ and MQ. Is it a score file?")
    if not scores:
        raise VideoAlignError(f"{row.where} has no mark of {judge}. Is it a score file?")
    return ScoredClip(
        scores,
        judge=judge,
        dimensions=_dimensions(judge, names, lower_is_better(row.cells)),
        overall=next(iter(meaning_of(judge, [OVERALL], ())), None) if OVERALL in names else None,
        reasons=reasons_of(row),
        details={
            name: value for name in details if (value := row.number_in(name) if row.has(name) else None) is not None
        },
        errors=_errors_of(row, judge),
        name=row.text_or_none("id") or f"row {row.number}",
        prompt=row.text_or_none("prompt"),
        model=row.text_or_none("model"),
        seed=row.integer_in("seed"),
        total_frames=row.integer_in("total_frames"),
        fps=row.number_in("fps") if row.has("fps") else None,
        raw={name: float(value) for name, value in raw.items()},
        notes=_notes_of(row),
        path=row.text_or_none("path"),
    )


def _errors_of(row: Row, judge: str) -> dict[str, str]:
    """Why judges of a panel gave no marks, as Save Scores and ``videoalign score`` write it: an object, or text in one cell."""
    errors = row.cells.get("errors")
    if isinstance(errors, dict):
        return {str(name): str(text) for name, text in errors.items()}
    if not is_panel(judge) or not row.has("errors"):
        return {}
    seats = "|".join(map(re.escape, judge.split("+")))
    parts = re.split(rf"(?:^|; )({seats}): ", str(errors))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _notes_of(row: Row) -> tuple[str, ...]:
    notes = row.cells.get("notes")
    if isinstance(notes, list):
        return tuple(map(str, notes))
    return tuple(str(notes).split("; ")) if row.has("notes") else ()


def _dimensions(judge: str, names: Sequence[str], lower: Collection[str]) -> tuple[Dimension, ...]:
    """What a file tells of a judge's dimensions, and what is known of its judge."""
    if judge == FIRST_JUDGE:
        return VIDEO_REWARD_DIMENSIONS
    return meaning_of(judge, [name for name in names if name != OVERALL], lower)
