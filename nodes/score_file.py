"""Score files: one clip a row, CSV or JSONL by the name's ending, appended to for as long as one likes.

The columns are those of ``videoalign score`` as far as both have them, so that either reads the other's file.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from ..errors import VideoAlignError
from ..reward.dimensions import DIMENSIONS, MEANING, OVERALL, RATED, VIDEO_REWARD_DIMENSIONS
from ..reward.judge import FIRST_JUDGE, Dimension
from .scored_clip import ScoredClip

_ABOUT = {"time", "id", "prompt", "seed", "model", "total_frames", "fps", "path", "judge", "error", "height", "width"}
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
        **clip.scores,
        **({f"{name}_raw": clip.raw.get(name) for name in DIMENSIONS} if clip.judge == FIRST_JUDGE else {}),
        **{f"{name}_reason": text for name, text in clip.reasons.items()},
        "total_frames": clip.total_frames,
        "fps": clip.fps,
        "path": clip.path,
        "judge": clip.judge,
    }


def append_scores(path: Path, clips: Sequence[ScoredClip]) -> int:
    """Append a row for each clip with one write; returns how many rows the file has now.

    Raises:
        VideoAlignError: the file has other columns, or cannot be written.
    """
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    rows = [score_row(clip, when) for clip in clips]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if path.suffix.lower() == ".csv":
            text = _csv_text(path, rows, before)
        else:
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        # A program that was killed while it wrote may have left half a line; do not glue the next one to it.
        gap = "\n" if before and not before.endswith("\n") else ""
        with path.open("a", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.write(gap + text)
        return len(read_scores(path))
    except (OSError, UnicodeDecodeError) as error:
        raise VideoAlignError(f"Scores could not be appended to {path} ({error}).") from error


def read_scores(path: Path) -> tuple[ScoredClip, ...]:
    """Read a score file of this module or of ``videoalign score``; rows that carry an error instead of scores are left out.

    Raises:
        VideoAlignError: it does not exist, cannot be read, or a row has no scores.
    """
    if not path.is_file():
        raise VideoAlignError(f"There is no score file {path}. Check the name, or save scores there first.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".csv":
                rows = list(csv.DictReader(file))
            else:
                rows = [json.loads(line) for line in file if line.strip()]
    except (OSError, UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
        raise VideoAlignError(f"{path} cannot be read as a score file ({error}).") from error
    numbered = enumerate(rows, start=1)
    return tuple(
        _clip(row, number, path) for number, row in numbered if not (isinstance(row, dict) and row.get("error"))
    )


def _csv_text(path: Path, rows: list[dict], before: str) -> str:
    buffer = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    header = next(csv.reader(io.StringIO(before)), []) if before else columns
    # A file of 0.1.0 does not name the judge: rows of VideoReward, which its rows are of, go on in it.
    silent = all(row["judge"] == FIRST_JUDGE for row in rows)
    if not set(columns) - ({"judge"} if silent else set()) <= set(header):
        raise VideoAlignError(
            f"{path} has the columns {', '.join(header)}; Save Scores writes {', '.join(columns)}. Choose another file name."
        )
    writer = csv.DictWriter(buffer, header, restval="", extrasaction="ignore", lineterminator="\n")
    if not before:
        writer.writeheader()
    for row in rows:
        writer.writerow({key: "" if value is None else value for key, value in row.items()})
    return buffer.getvalue()


def _clip(row: object, number: int, path: Path) -> ScoredClip:
    if not isinstance(row, dict):
        raise VideoAlignError(f"{path}, row {number}: expected an object with scores; found {row!r}.")
    judge = row.get("judge") or FIRST_JUDGE
    names = list(RATED) if judge == FIRST_JUDGE else _marks_of(row)
    raw = row.get("raw") or {
        name: row[f"{name}_raw"] for name in DIMENSIONS if row.get(f"{name}_raw") not in (None, "")
    }
    try:
        scores = {name: _number(row.get(name)) for name in names}
        known = {name: float(value) for name, value in raw.items()}
        frames, fps, seed = (_number(row.get(name)) for name in ("total_frames", "fps", "seed"))
    except (TypeError, ValueError) as error:
        raise VideoAlignError(f"{path}, row {number}: {error}.") from None
    if judge == FIRST_JUDGE and (scores["VQ"] is None or scores["MQ"] is None):
        raise VideoAlignError(f"{path}, row {number} has no VQ and MQ. Is it a score file?")
    if not any(score is not None for score in scores.values()):
        raise VideoAlignError(f"{path}, row {number} has no score of {judge}. Is it a score file?")
    return ScoredClip(
        scores,
        judge=judge,
        dimensions=_dimensions(judge, names),
        reasons=row.get("reasons")
        or {key.removesuffix("_reason"): text for key, text in row.items() if key and key.endswith("_reason") and text},
        name=str(row.get("id") or f"row {number}"),
        prompt=row.get("prompt") or None,
        model=row.get("model") or None,
        seed=None if seed is None else int(row["seed"]),
        total_frames=None if frames is None else int(frames),
        fps=fps,
        raw=known,
        path=row.get("path") or None,
    )


def _number(value: object) -> float | None:
    return None if value is None or value == "" else float(value)


def _marks_of(row: dict) -> list[str]:
    """The columns of another judge's row that hold its marks: numbers that are nothing else."""
    return [
        name
        for name, value in row.items()
        if name and name not in _ABOUT and not name.endswith(("_raw", "_reason")) and _is_number(value)
    ]


def _is_number(value: object) -> bool:
    try:
        return not isinstance(value, bool) and _number(value) is not None
    except (TypeError, ValueError):
        return False


def _dimensions(judge: str, names: Sequence[str]) -> tuple[Dimension, ...]:
    """What a file tells of a judge's dimensions: their names. VideoReward's are known."""
    if judge == FIRST_JUDGE:
        return VIDEO_REWARD_DIMENSIONS
    return tuple(Dimension(name, MEANING.get(name, name), "") for name in names if name != OVERALL)
