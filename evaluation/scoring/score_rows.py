"""What ``videoalign score`` is asked to score: rows from files, folders, globs, or a CSV/JSONL manifest."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from ...clips.find import caption_beside, find_clips
from ...errors import VideoAlignError
from ...files.portable_paths import table_path
from ...files.tables import SUFFIXES, Row, read_table, shown

COLUMNS = ("id", "path", "prompt", "fps")


@dataclass(frozen=True)
class ScoreRow:
    """One clip and one caption.

    Attributes:
        id: unique name of the row.
        path: the clip, absolute or relative to the current folder.
        prompt: caption for TA, or None for VQ and MQ only.
        fps: overrides the clip's own frame rate, or None.
    """

    id: str
    path: Path
    prompt: str | None = None
    fps: float | None = None


def rows_from_inputs(inputs: list[str], prompts: list[str], sidecars: bool = False) -> list[ScoreRow]:
    """Rows for files, folders (searched recursively, hidden files left out) and glob patterns, each against every prompt.

    Args:
        sidecars: take each clip's caption from the ``.txt`` file of the same name.

    Raises:
        VideoAlignError: an input names no video, or a sidecar is missing.
    """
    paths = find_clips(inputs)
    if sidecars:
        return [ScoreRow(str(path), path, caption_beside(path)) for path in paths]
    if len(prompts) <= 1:
        return [ScoreRow(str(path), path, prompts[0] if prompts else None) for path in paths]
    return [ScoreRow(f"{path}#{number}", path, prompt) for path in paths for number, prompt in enumerate(prompts, 1)]


def rows_from_manifest(manifest: Path) -> list[ScoreRow]:
    """Rows of a manifest (see ``files.tables``; another ending is read as CSV): columns id?, path, prompt?, fps?. Others are ignored.

    Paths are relative to the manifest. Without an id a row is called by its path (and its number where that repeats).

    Raises:
        VideoAlignError: the manifest is missing, malformed, empty, or two rows have one id; the message names the row.
    """
    suffix = manifest.suffix.lower()
    table = read_table(manifest, COLUMNS, suffix=suffix if suffix in SUFFIXES else ".csv")
    if not table.rows and not table.columns:
        raise VideoAlignError(f"The manifest {manifest} has no rows.")
    table.require(["path"])
    if not table.rows:
        raise VideoAlignError(f"The manifest {manifest} has no rows.")
    rows = [_row(row) for row in table]
    repeated = Counter(row.id for row in rows)
    numbered = [
        row if given.has("id") or repeated[row.id] == 1 else replace(row, id=f"{row.id}#{given.number}")
        for row, given in zip(rows, table, strict=True)
    ]
    twice = [name for name, count in Counter(row.id for row in numbered).items() if count > 1]
    if twice:
        raise VideoAlignError(f"The manifest {manifest} uses the id {twice[0]!r} more than once; ids must be unique.")
    return numbered


def _row(row: Row) -> ScoreRow:
    path = row.text("path")
    fps = None
    if row.has("fps"):  # a rate that no clip can have, NaN among them, is that row's error when it is scored
        fps = math.nan if str(row.value("fps")).strip().lower() == "nan" else row.number_in("fps")
    prompt = row.cells.get("prompt")
    if prompt is not None and not isinstance(prompt, str):
        raise row.error("prompt", f"found {shown(prompt)}; it must be text.")
    return ScoreRow(row.text_or_none("id") or path, table_path(row.path.parent, path), prompt, fps)
