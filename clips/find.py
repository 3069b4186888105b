"""Finding clips: in files, folders and by glob patterns, and the captions beside them."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from ..errors import TableError, VideoAlignError
from ..files.tables import read_text

VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".gif", ".mpg", ".mpeg", ".ts", ".wmv", ".flv"}
CLIP_LIST = "clips.jsonl"
"""The list of a folder's clips with their prompts, which ``videoalign generate`` and the chooser write."""


def find_clips(inputs: Iterable[str]) -> list[Path]:
    """The clips that files, folders (searched recursively, hidden files left out) and glob patterns name, each once.

    A file that is not there is named as well: who reads it says so, and the others are still read.

    Raises:
        VideoAlignError: a folder without a video, or a pattern that matches no file.
    """
    paths: dict[Path, None] = {}  # an ordered set
    for given in inputs:
        path = Path(os.path.expanduser(given))  # not Path.expanduser, which fails for ~name of nobody
        if os.path.isdir(path):  # unlike Path.is_dir, False for a name that the system finds too long: a stray caption
            clips = sorted(file for file in path.rglob("*") if _is_clip(file.relative_to(path)))
            if not clips:
                raise VideoAlignError(f"The folder {given} holds no video ({', '.join(sorted(VIDEO_SUFFIXES))}).")
        elif os.path.exists(path) or not glob.has_magic(given):
            clips = [path]
        else:
            clips = sorted(Path(match) for match in glob.glob(str(path), recursive=True) if Path(match).is_file())
            if not clips:
                raise VideoAlignError(f"No file matches {given}.")
        paths.update(dict.fromkeys(clips))
    return list(paths)


def caption_beside(clip: Path) -> str:
    """The text of the ``.txt`` file of the clip's name.

    Raises:
        VideoAlignError: it is missing or cannot be read.
    """
    text = clip.with_suffix(".txt")
    if not os.path.exists(text):
        raise VideoAlignError(f"{clip} has no caption file {text.name} beside it.")
    try:
        return read_text(text).strip()
    except TableError as error:
        raise VideoAlignError(f"The caption file of {clip.name}: {error}") from None


def _is_clip(relative: Path) -> bool:
    """A video by its name, not hidden (``._clip.mp4`` of macOS is no video, ``.trash/`` is not meant)."""
    return relative.suffix.lower() in VIDEO_SUFFIXES and not any(part.startswith(".") for part in relative.parts)
