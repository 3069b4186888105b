"""What ``videoalign score`` is asked to score: rows from files, folders, globs, or a CSV/JSONL manifest."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from ...clips.find import caption_beside, find_clips
from ...errors import VideoAlignError


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
    """Rows of a manifest: CSV with a header, or JSONL; columns id?, path, prompt?, fps?. Others are ignored.

    Paths are relative to the manifest. Without an id a row is called by its path (and its number where that repeats).

    Raises:
        VideoAlignError: the manifest is missing, malformed, empty, or two rows have one id; the message names the row.
    """
    try:
        text = manifest.read_bytes().decode("utf-8-sig")  # bytes: prompts keep their own line endings
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
        replace(row, id=f"{row.id}#{number}") if record.get("id") in (None, "") and repeated[row.id] > 1 else row
        for row, (number, record) in zip(rows, records, strict=True)
    ]
    twice = [name for name, count in Counter(row.id for row in numbered).items() if count > 1]
    if twice:
        raise VideoAlignError(f"The manifest {manifest} uses the id {twice[0]!r} more than once; ids must be unique.")
    return numbered


def _jsonl_records(manifest: Path, text: str) -> list[tuple[int, dict]]:
    records = []
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines: U+2028 and others may stand in a prompt
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
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    try:
        columns = reader.fieldnames or []
        if "path" not in columns:
            raise VideoAlignError(
                f"The manifest {manifest} has no column 'path' (found: {', '.join(columns) or 'nothing'}). "
                "Columns: id, path, prompt, fps."
            )
        records = list(enumerate(reader, 1))
    except csv.Error as error:
        raise VideoAlignError(
            f"{manifest}, line {reader.line_num}: not valid CSV ({error}). Is a quote left open?"
        ) from None
    for number, record in records:
        # DictReader would cut a prompt with an unquoted comma short, in silence.
        extra, lacking = record.get(None), None in record.values()
        if extra or lacking:
            found = sum(value is not None for value in record.values()) + (len(extra) - 1 if extra else 0)
            raise VideoAlignError(
                f"{manifest}, row {number}: {found} cells where the header has {len(columns)}. "
                "A prompt with a comma needs quotes around it."
            )
    return records


def _row(manifest: Path, number: int, record: dict) -> ScoreRow:
    path, fps, prompt = record.get("path"), record.get("fps"), record.get("prompt")
    if not isinstance(path, str) or not path.strip():
        raise VideoAlignError(f"{manifest}, row {number}: 'path' is {path!r}; it must name a video file.")
    if fps in (None, ""):
        fps = None
    else:
        try:
            fps = float("true" if isinstance(fps, bool) else fps)
        except (TypeError, ValueError):
            raise VideoAlignError(
                f"{manifest}, row {number}: fps is {fps!r}; it must be a number of frames per second."
            ) from None
    if prompt is not None and not isinstance(prompt, str):
        raise VideoAlignError(f"{manifest}, row {number}: prompt is {prompt!r}; it must be text.")
    name = record.get("id")
    if name in (None, ""):
        name = path
    elif isinstance(name, bool) or not isinstance(name, (str, int, float)):
        raise VideoAlignError(f"{manifest}, row {number}: id is {name!r}; it must be text or a number.")
    return ScoreRow(str(name), manifest.parent / Path(path).expanduser(), prompt, fps)
