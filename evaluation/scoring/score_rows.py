"""What ``videoalign score`` is asked to score: rows from files, folders, globs, or a CSV/JSONL manifest."""

from __future__ import annotations

import glob
import math
import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import VideoAlignError
from ...files.tables import SUFFIXES, Row, read_table, shown

VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".gif", ".mpg", ".mpeg", ".ts", ".wmv", ".flv"}


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
    paths: dict[Path, None] = {}  # an ordered set: a clip that is named twice is scored once
    for given in inputs:
        path = Path(given).expanduser()
        if os.path.isdir(path):  # unlike Path's own, False for a name that the system finds too long: a stray caption
            found = sorted(file for file in path.rglob("*") if _is_clip(file.relative_to(path)))
            if not found:
                raise VideoAlignError(f"The folder {given} holds no video ({', '.join(sorted(VIDEO_SUFFIXES))}).")
        elif os.path.exists(path) or not glob.has_magic(given):
            found = [path]  # a missing file becomes a failed row, so that the others are still scored
        else:
            found = sorted(Path(match) for match in glob.glob(str(path), recursive=True) if Path(match).is_file())
            if not found:
                raise VideoAlignError(f"No file matches {given}.")
        paths.update(dict.fromkeys(found))
    if sidecars:
        return [ScoreRow(str(path), path, _sidecar(path)) for path in paths]
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


def _is_clip(relative: Path) -> bool:
    """A video by its name, not hidden (``._clip.mp4`` of macOS is no video, ``.trash/`` is not meant)."""
    return relative.suffix.lower() in VIDEO_SUFFIXES and not any(part.startswith(".") for part in relative.parts)


def _sidecar(path: Path) -> str:
    text = path.with_suffix(".txt")
    try:
        return text.read_text(encoding="utf-8-sig").strip()
    except FileNotFoundError:
        raise VideoAlignError(f"{path} has no caption file {text.name} beside it.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise VideoAlignError(f"The caption file {text} cannot be read: {error}.") from None


def _row(row: Row) -> ScoreRow:
    path = row.text("path")
    fps = None
    if row.has("fps"):  # a rate that no clip can have, NaN among them, is that row's error when it is scored
        fps = math.nan if str(row.value("fps")).strip().lower() == "nan" else row.number_in("fps")
    prompt = row.cells.get("prompt")
    if prompt is not None and not isinstance(prompt, str):
        raise row.error("prompt", f"found {shown(prompt)}; it must be text.")
    return ScoreRow(row.text_or_none("id") or path, row.path.parent / Path(path).expanduser(), prompt, fps)
