"""VisionRewardDB-Video's pairs (THUDM / zai-org): prompt, video1_path, video2_path, standard_answer, internal_id.

The answer is on the whole clip and becomes the Overall label; video 1 becomes A. The data card types `standard_answer`
as text and does not list its values: the spellings in `ANSWERS` are understood, others can be passed, and an unknown
one is an error. The data set is Parquet: save its rows as JSONL or CSV.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...files.tables import read_table
from ..preference_file import Preferences, Source, pair_of_sides

ANSWERS = {
    **dict.fromkeys(("1", "video1", "video_1", "A"), "A"),
    **dict.fromkeys(("2", "video2", "video_2", "B"), "B"),
    **dict.fromkeys(("0", "tie", "same", "equal"), "same"),
}


def read_visionreward(path: Path, root: Path | None = None, *, answers: Mapping[str, str] = ANSWERS) -> Preferences:
    """Pairs of a VisionRewardDB-Video table in CSV, JSON or JSONL; `answers` maps the answers' spellings to labels."""
    path = Path(path)
    table = read_table(path, ("prompt", "video1_path", "video2_path", "standard_answer", "internal_id"))
    table.require(("prompt", "video1_path", "video2_path", "standard_answer"))
    pairs = [
        pair_of_sides(
            row.text("video1_path"),
            row.text("video2_path"),
            {"Overall": row.choice("standard_answer", answers)},
            prompt=row.text("prompt"),
            source=Source(
                format="visionreward",
                row=row.number,
                columns={name: row.cells[name] for name in ("internal_id", "standard_answer") if name in row.cells},
            ),
        )
        for row in table
    ]
    rows = [row.line if row.line is not None else row.number for row in table]
    return Preferences(pairs, Path(root or path.parent), path, "visionreward", rows)
