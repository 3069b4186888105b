"""GenAI-Bench's video votes (TIGER-AI-Lab/GenAI-Bench): prompt, left_video, right_video, vote_type; left becomes A.

The vote is on the whole clip, so it becomes the Overall label. "bothbad_vote" is a tie, flagged `source.both_bad`.
The data set is Parquet: save its rows as JSONL or CSV. A video cell is a path, or an object with one under "path".
"""

from __future__ import annotations

from pathlib import Path

from ...files.tables import Row, read_table
from ..preference_file import Preferences, Source, pair_of_sides

VOTES = {"leftvote": "A", "rightvote": "B", "tievote": "same", "bothbad_vote": "same"}


def _video(row: Row, column: str) -> str:
    cell = row.value(column)
    if isinstance(cell, dict) and isinstance(cell.get("path"), str) and cell["path"]:
        return cell["path"]
    return row.text(column)


def read_genai_bench(path: Path, root: Path | None = None) -> Preferences:
    """Pairs of a GenAI-Bench table in CSV, JSON or JSONL."""
    path = Path(path)
    table = read_table(path, ("prompt", "left_video", "right_video", "vote_type", "left_model", "right_model"))
    table.require(("prompt", "left_video", "right_video", "vote_type"))
    pairs = []
    for row in table:
        columns = {name: row.cells[name] for name in ("left_model", "right_model") if name in row.cells}
        source = Source(
            format="genai_bench",
            row=row.number,
            both_bad=row.value("vote_type") == "bothbad_vote",
            columns={**columns, "vote_type": row.value("vote_type")},
        )
        labels = {"Overall": row.choice("vote_type", VOTES)}
        left, right = _video(row, "left_video"), _video(row, "right_video")
        pairs.append(pair_of_sides(left, right, labels, prompt=row.text("prompt"), source=source))
    rows = [row.line if row.line is not None else row.number for row in table]
    return Preferences(pairs, Path(root or path.parent), path, "genai_bench", rows)
