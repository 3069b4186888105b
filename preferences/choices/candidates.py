"""The clips that people choose between, with what is known of each: the manifest ``clips.jsonl`` of a folder.

    {"path": "clips/3f2a.mp4", "prompt": "a red ball rolls left", "seed": 7, "model": "wan2.1", "group": "9c1e"}

`path` (relative to the manifest) and `prompt` are needed; seed, model, group, fps and num_frames are not, and other keys
are ignored, so that any table of clips and prompts, CSV or JSONL, will do. Clips are compared within one prompt, and
where they have a group, within that group.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from ...clips.find import CLIP_LIST, caption_beside, find_clips
from ...errors import VideoAlignError
from ...files.file_lock import locked
from ...files.journal import append_records, read_journal
from ...files.portable_paths import table_path
from ...files.tables import SUFFIXES, Row, read_table


@dataclass(frozen=True)
class Candidate:
    """One clip.

    Attributes:
        path: the file.
        prompt: the text that it was made from.
        seed, model: what made it, where that is known.
        group: clips with a group are compared with their own group alone.
        fps, num_frames: its rate and length, where they are known.
    """

    path: Path
    prompt: str
    seed: int | None = None
    model: str | None = None
    group: str | None = None
    fps: float | None = None
    num_frames: int | None = None


def add_candidates(folder: Path, candidates: list[Candidate]) -> int:
    """Append to the folder's manifest those clips that it does not have yet; returns how many.

    Raises:
        FileError: it cannot be written.
    """
    manifest = Path(folder) / CLIP_LIST
    with locked(manifest):
        known = {(line.get("path"), line.get("prompt")) for line in read_journal(manifest).records}
        lines = [_line(candidate, manifest.parent) for candidate in candidates]
        new = [line for line in lines if (line["path"], line["prompt"]) not in known]
        if new:
            append_records(manifest, new)
    return len(new)


def read_candidates(folder: Path, manifest: Path | None = None, prompt: str | None = None) -> list[Candidate]:
    """The clips of a folder.

    Args:
        folder: looked into for ``clips.jsonl``; without one, its videos are the clips.
        manifest: a CSV or JSONL table of clips in the place of that file.
        prompt: of all the videos of a folder without a table; without it each needs its text in a ``.txt`` file of the
            same name.

    Raises:
        VideoAlignError: there is no folder or table, a row is malformed, or a clip's prompt is not known.
    """
    folder = Path(folder)
    table = manifest or folder / CLIP_LIST
    if manifest is None and not table.exists():
        return _videos_of(folder, prompt)
    if table.suffix.lower() not in SUFFIXES or not table.is_file():
        raise VideoAlignError(f"There is no table of clips {table}. Give a .csv or .jsonl file with path and prompt.")
    columns = [entry.name for entry in fields(Candidate)]
    return [_candidate(row) for row in read_table(table, columns, growing=True)]


def _videos_of(folder: Path, prompt: str | None) -> list[Candidate]:
    if not folder.is_dir():
        raise VideoAlignError(f"There is no folder {folder}. Give the folder that holds the clips.")
    try:
        return [Candidate(clip, prompt or caption_beside(clip)) for clip in find_clips([str(folder)])]
    except VideoAlignError as error:
        raise VideoAlignError(
            f"{error} The clips' prompts have to be known: give --prompt where all clips have the same, a .txt file beside "
            f"each clip, or a table with path and prompt as {CLIP_LIST} in the folder."
        ) from None


def _candidate(row: Row) -> Candidate:
    return Candidate(
        table_path(row.path.parent, row.text("path")),
        row.text("prompt"),
        seed=row.integer_in("seed"),
        model=row.text_or_none("model"),
        group=row.text_or_none("group"),
        fps=row.number_in("fps") if row.has("fps") else None,
        num_frames=row.integer_in("num_frames"),
    )


def _line(candidate: Candidate, folder: Path) -> dict:
    path = candidate.path.resolve()
    folder = folder.resolve()
    line = {"path": (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()}
    line |= {name: getattr(candidate, name) for name in ("prompt", "seed", "model", "group", "fps", "num_frames")}
    return {name: value for name, value in line.items() if value is not None}
