"""Scores that somebody has already: what ``videoalign score`` wrote, or any table with path, prompt and scores.

So any reward can be measured, also one that this project cannot run. The official script's out_single.csv (columns
reward_VQ and so on) is read as well.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ...errors import VideoAlignError
from ...files.portable_paths import table_path
from ...files.tables import Row, read_table
from ...preferences.importers.scored_clips import lower_marks
from ...reward.dimensions import RATED
from ...reward.score_columns import LOWER
from .pairs import BenchClip, BenchPair


def read_known_scores(
    file: Path, pairs: Iterable[BenchPair], root: Path, further: Sequence[str] = ()
) -> dict[BenchClip, dict]:
    """For each clip of ``pairs`` that the file knows: its scores by dimension, or {"error": ...} from the file.

    Args:
        file: CSV, JSON or JSONL with the columns path, one or more of VQ, MQ, TA, Overall, and optionally prompt and
            error. Without a prompt a row serves a clip that the benchmark has with one prompt only.
        root: folder of the clips; a relative path in the file may start there, at the file or in the current folder.
        further: other marks that are asked for; where there are some, the file need not have any of the four, and a clip's
            scores say under "lower_is_better" of which marks less is better.

    Raises:
        VideoAlignError: a column is missing, a score is no number, two rows contradict each other, or no clip is
            known; the message names the row.
    """
    known_names = ("path", "prompt", "error", "judge", LOWER, *RATED, *(f"reward_{name}" for name in RATED))
    table = read_table(file, (*known_names, *(name for name in further if name not in RATED)))
    if "path" not in table.columns:
        raise VideoAlignError(
            f"{file}: column 'path' is missing; a file of scores has path, prompt and one or more of "
            f"{', '.join(RATED)}. Found {', '.join(table.columns) or 'none'}."
        )
    columns = {
        name: next(
            (spelling for spelling in (name, f"reward_{name}") if any(spelling in row.cells for row in table)), None
        )
        for name in dict.fromkeys((*RATED, *further))
    }
    if not any(columns.values()):
        raise VideoAlignError(
            f"{file}: no score column; expected one or more of {', '.join(RATED)}, found "
            f"{', '.join(table.columns) or 'none'}."
        )
    wanted: dict[Path, dict[str, dict[BenchClip, None]]] = defaultdict(dict)  # by prompt, in their order, each once
    spelled: dict[str, Path] = {}
    for pair in pairs:
        for clip, path in zip(pair.clips, pair.paths, strict=True):
            spelled.setdefault(path, clip.file)
            wanted[clip.file].setdefault(clip.prompt, {})[clip] = None
    meant: dict[str, Path | None] = {}  # each spelling's file: a clip has a row for each prompt
    known: dict[BenchClip, dict] = {}
    given_by: dict[BenchClip, Row] = {}
    for row in table:
        path = row.text("path")
        if path not in meant:
            places = (os.path.abspath(table_path(start, path)) for start in (root, file.parent, Path()))
            meant[path] = spelled.get(path) or next((name for name in map(Path, places) if name in wanted), None)
        match = meant[path]
        clips = [] if match is None else _meant(row, wanted[match])
        if not clips:
            continue
        scores = _scores(row, columns)
        if further and "error" not in scores:
            scores[LOWER] = sorted(lower_marks(row))
        for clip in clips:
            if known.setdefault(clip, scores) != scores:
                raise VideoAlignError(
                    f"{row.where}: other scores for {path} with the same prompt than in row {given_by[clip].number}. "
                    "Keep one of them."
                )
            given_by.setdefault(clip, row)
    if not known:
        first = next(iter(wanted))
        raise VideoAlignError(
            f"{file}: none of its {len(table.rows)} rows is a clip of the benchmark (path and prompt), which starts with {first}. "
            "Give the folder that the benchmark's paths start from with --videos."
        )
    return known


def _meant(row: Row, clips: Mapping[str, Iterable[BenchClip]]) -> list[BenchClip]:
    """Those of a file's clips, by prompt, that the row's prompt means."""
    prompt = row.cells.get("prompt")
    if prompt in (None, ""):
        if len(clips) > 1:
            raise row.error("prompt", "it is empty, and the benchmark has this clip with several prompts. Fill it in.")
        return [clip for same in clips.values() for clip in same]
    return list(clips.get(prompt, ()))


def _scores(row: Row, columns: dict[str, str | None]) -> dict:
    if row.has("error"):
        return {"error": str(row.value("error"))}
    scores: dict = {}
    for name, column in columns.items():
        if column is None:
            continue
        value = row.number_in(column) if column in row.cells else None
        if value is not None:
            scores[name] = value
    return scores
