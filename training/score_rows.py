"""What ``videoalign score`` is asked to score: rows from files, folders, globs, or a CSV/JSONL manifest."""

from __future__ import annotations

import csv
import glob
import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from ..reward.errors import VideoAlignError

VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".gif", ".mpg", ".mpeg", ".ts", ".wmv", ".flv"}


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
    """Rows for files, folders (searched recursively) and glob patterns, each against every prompt.

    Args:
        sidecars: take each clip's caption from the ``.txt`` file of the same name.

    Raises:
        VideoAlignError: an input names no video, or a sidecar is missing.
    """
    paths: list[Path] = []
    for given in inputs:
        path = Path(given).expanduser()
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES)
            if not found:
                raise VideoAlignError(f"The folder {given} holds no video ({', '.join(sorted(VIDEO_SUFFIXES))}).")
        elif path.exists() or not glob.has_magic(given):
            found = [path]  # a missing file becomes a failed row, so that the others are still scored
        else:
            found = sorted(Path(match) for match in glob.glob(given, recursive=True) if Path(match).is_file())
            if not found:
                raise VideoAlignError(f"No file matches {given}.")
        paths += [file for file in found if file not in paths]
    if sidecars:
        return [ScoreRow(str(path), path, _sidecar(path)) for path in paths]
    if len(prompts) <= 1:
        return [ScoreRow(str(path), path, prompts[0] if prompts else None) for path in paths]
    return [ScoreRow(f"{path}#{number}", path, prompt) for path in paths for number, prompt in enumerate(prompts, 1)]


def rows_from_manifest(manifest: Path) -> list[ScoreRow]:
    """Rows of a manifest: CSV with a header, or JSONL; columns id?, path, prompt?, fps?. Others are ignored.

    Paths are relative to the manifest. Without an id a row is called by its path (and its number where that repeats).

    Raises:
        VideoAlignError: the manifest is missing, malformed, empty, or two rows have one id; the message names the row.
    """
    try:
        text = manifest.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise VideoAlignError(f"The manifest {manifest} cannot be read: {error}.") from None
    records = (
        _jsonl_records(manifest, text)
        if manifest.suffix.lower() in (".jsonl", ".json", ".ndjson")
        else _csv_records(manifest, text)
    )
    if not records:
        raise VideoAlignError(f"The manifest {manifest} has no rows.")
    rows = [_row(manifest, number, record) for number, record in records]
    repeated = Counter(row.id for row in rows)
    numbered = [
        replace(row, id=f"{row.id}#{number}") if not record.get("id") and repeated[row.id] > 1 else row
        for row, (number, record) in zip(rows, records, strict=True)
    ]
    twice = [name for name, count in Counter(row.id for row in numbered).items() if count > 1]
    if twice:
        raise VideoAlignError(f"The manifest {manifest} uses the id {twice[0]!r} more than once; ids must be unique.")
    return numbered


def _sidecar(path: Path) -> str:
    text = path.with_suffix(".txt")
    try:
        return text.read_text(encoding="utf-8").strip()
    except OSError:
        raise VideoAlignError(f"{path} has no caption file {text.name} beside it.") from None


def _jsonl_records(manifest: Path, text: str) -> list[tuple[int, dict]]:
    records = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise VideoAlignError(f"{manifest}, line {number}: not valid JSON ({error}).") from None
        if not isinstance(record, dict):
            raise VideoAlignError(
                f'{manifest}, line {number}: expected an object like {{"path": "clip.mp4", "prompt": "..."}}.'
            )
        records.append((number, record))
    return records


def _csv_records(manifest: Path, text: str) -> list[tuple[int, dict]]:
    reader = csv.DictReader(text.splitlines(keepends=True), skipinitialspace=True)
    if "path" not in (reader.fieldnames or []):
        found = ", ".join(reader.fieldnames or ["nothing"])
        raise VideoAlignError(
            f"The manifest {manifest} has no column 'path' (found: {found}). Columns: id, path, prompt, fps."
        )
    return [(number, record) for number, record in enumerate(reader, 1)]


def _row(manifest: Path, number: int, record: dict) -> ScoreRow:
    path, fps, prompt = record.get("path"), record.get("fps"), record.get("prompt")
    if not isinstance(path, str) or not path.strip():
        raise VideoAlignError(f"{manifest}, row {number}: 'path' is {path!r}; it must name a video file.")
    if fps in (None, ""):
        fps = None
    else:
        try:
            fps = float(fps)
        except (TypeError, ValueError):
            raise VideoAlignError(
                f"{manifest}, row {number}: fps is {fps!r}; it must be a number of frames per second."
            ) from None
    if prompt is not None and not isinstance(prompt, str):
        raise VideoAlignError(f"{manifest}, row {number}: prompt is {prompt!r}; it must be text.")
    return ScoreRow(str(record.get("id") or path), manifest.parent / path, prompt, fps)
