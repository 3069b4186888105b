"""VideoAlign's and VideoGen-RewardBench's CSV: one pair a row, A or B or same per dimension. Reads and writes it.

Format of KlingAIResearch/VideoAlign (formerly KwaiVGI): path_A, path_B, prompt, the labels VQ, MQ, TA (training) and
Overall (benchmark), and optionally A_model, B_model, fps_A, num_frames_A, fps_B, num_frames_B, MOS_A_VQ ... MOS_B_TA
(Likert scores 1..5). Paths are relative to the CSV's folder or to a data folder.

An empty label cell is a dimension that nobody judged: it is left out, and counts as invalid. The official loader takes
any unknown text for invalid as well; here that is an error, since "a" or "tie" would silently lose data.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ...errors import PreferenceFileError
from ...files.atomic_file import write_text
from ...files.csv_text import csv_text
from ...files.tables import Row, read_table
from ...reward.dimensions import RATED
from ..preference_file import (
    LABELS,
    PreferencePair,
    Preferences,
    Source,
    pair_of_sides,
)

ORDER = (
    *("path_A", "path_B", "A_model", "B_model", "prompt", *RATED),
    *("fps_A", "num_frames_A", "fps_B", "num_frames_B"),
    *(f"MOS_{side}_{dimension}" for dimension in RATED for side in "AB"),
)
"""The columns in the order in which they are written; others follow."""

PLAIN = {label: label for label in LABELS}


def _scores(row: Row, side: str) -> dict[str, float]:
    columns = {dimension: f"MOS_{side}_{dimension}" for dimension in RATED}
    scores = {d: row.number_in(column) for d, column in columns.items() if column in row.cells}
    return {dimension: score for dimension, score in scores.items() if score is not None}


def _pair(row: Row) -> PreferencePair:
    judged = [dimension for dimension in RATED if row.cells.get(dimension) not in (None, "")]
    fps = {column: row.number_in(column) if column in row.cells else None for column in ("fps_A", "fps_B")}
    for column, value in fps.items():
        if value is not None and value <= 0:
            raise row.error(column, f"found {value}; expected frames per second above 0, or nothing.")
    rest = {name: cell for name, cell in row.cells.items() if name not in ("path_A", "path_B", "prompt", *judged)}
    return pair_of_sides(
        row.text("path_A"),
        row.text("path_B"),
        {dimension: row.choice(dimension, PLAIN) for dimension in judged},
        scores_a=_scores(row, "A"),
        scores_b=_scores(row, "B"),
        prompt=row.text("prompt"),
        fps=fps["fps_A"] if fps["fps_A"] == fps["fps_B"] else None,
        source=Source(format="videoalign", row=row.number, columns=rest),
    )


def read_videoalign_csv(path: Path, root: Path | None = None, dimensions: tuple[str, ...] | None = None) -> Preferences:
    """Pairs of the CSV. `dimensions` names the label columns that must be there; by default one of them is enough."""
    path = Path(path)
    table = read_table(path, ORDER)
    table.require(("path_A", "path_B", "prompt", *(dimensions or ())))
    if not any(dimension in table.columns for dimension in RATED):
        raise PreferenceFileError(
            f"{path}: no label column; expected one or more of {', '.join(RATED)}, found {', '.join(table.columns)}."
        )
    rows = [row.line if row.line is not None else row.number for row in table]
    return Preferences([_pair(row) for row in table], Path(root or path.parent), path, "videoalign", rows)


def _columns(pair: PreferencePair) -> dict[str, Any]:
    """The pair as a row of the CSV, with A and B as they were in the file that it was imported from."""
    pair = pair.in_source_order()
    imported = pair.source is not None and pair.source.format == "videoalign"
    # People's choices (preferences.choices) name their columns as this form does.
    kept = imported or (pair.source is not None and pair.source.format == "choices")
    cells: dict[str, Any] = dict(pair.source.columns) if kept else {}

    def put(column: str, number: float) -> None:
        # "3" and "3.0" are one number: keep the spelling of the source, so that the export gives back its text.
        if not _is(cells.get(column), number):
            cells[column] = repr(number)

    cells.update({"path_A": pair.chosen, "path_B": pair.rejected, "prompt": pair.prompt, **pair.labels})
    for side, scores in (("A", pair.scores_chosen), ("B", pair.scores_rejected)):
        if imported:  # only then are the scores people's Likert scores, which is what MOS means
            for dimension, score in scores.items():
                put(f"MOS_{side}_{dimension}", score)
        if pair.fps is not None:
            put(f"fps_{side}", pair.fps)
    return cells


def _is(cell: Any, number: float) -> bool:
    try:
        return float(cell) == number
    except (TypeError, ValueError, OverflowError):
        return False


def write_videoalign_csv(path: str | os.PathLike, preferences: Preferences) -> None:
    """Write the pairs as VideoAlign's CSV, atomically; what was imported from one comes back cell by cell.

    Paths become relative to the new file's folder. A pair from elsewhere has the clip as A that its source calls so, or
    the chosen one. What this format cannot hold is not written: id, weight, and scores that are not people's (MOS).
    """
    path = Path(path)
    rows = [_columns(pair) for pair in preferences.relative_to(path.parent)]
    names = dict.fromkeys(name for row in rows for name in row)
    header = [name for name in ORDER if name in names] + [name for name in names if name not in ORDER]
    write_text(path, csv_text(rows, header))
