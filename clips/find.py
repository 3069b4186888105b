"""Finding clips: in files, folders and by glob patterns, and the captions beside them."""

from __future__ import annotations

import glob
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import TableError, VideoAlignError
from ..files.tables import read_text

# Of films; .webp counts where it is animated.
VIDEO_SUFFIXES = {
    ".264", ".265", ".3g2", ".3gp", ".apng", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".gxf", ".h264", ".h265", ".hevc", ".ivf",
    ".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogv",
    ".qt", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".webp", ".wmv", ".wtv", ".y4m",
}  # fmt: skip
CLIP_LIST = "clips.jsonl"
"""The list of a folder's clips with their prompts, which ``videoalign generate`` and the chooser write."""


def find_clips(inputs: Iterable[str]) -> list[Path]:
    """The clips that files, folders and glob patterns name, each once.

    Folders are searched recursively, hidden files left out; linked folders are followed, each once. How many files of other
    kinds are left out is said on standard error. A file that is not there is named as well: who reads it says so, and the
    others are still read.

    Raises:
        VideoAlignError: a folder without a video, a pattern that matches no file, or standard input.
    """
    paths: dict[Path, None] = {}  # an ordered set
    for given in inputs:
        if given == "-":
            raise VideoAlignError("- is no clip: standard input is not read. Write it into a file, and name that.")
        path = Path(os.path.expanduser(given))  # not Path.expanduser, which fails for ~name of nobody
        if os.path.isdir(path):  # unlike Path.is_dir, False for a name that the system finds too long: a stray caption
            clips = _clips_in(path)
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


def _clips_in(folder: Path) -> list[Path]:
    files = sorted(_files_below(folder))
    clips = [file for file in files if _is_clip(file)]
    if not clips:
        raise VideoAlignError(
            f"The folder {folder} holds no video ({len(files)} files of other kinds). Videos are {', '.join(sorted(VIDEO_SUFFIXES))}."
        )
    captions = {clip.with_suffix(".txt") for clip in clips}
    kinds = Counter(
        file.suffix.lower() or "no ending" for file in set(files) - set(clips) - captions if file.name != CLIP_LIST
    )
    if kinds:
        told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(6)) + (
            ", ..." if len(kinds) > 6 else ""
        )
        print(
            f"{folder}: {len(clips)} clips; left out are {kinds.total()} files that are none ({told}).", file=sys.stderr
        )
    return clips


def _files_below(folder: Path) -> Iterator[Path]:
    """Files of a folder at any depth, not hidden ones (``._clip.mp4`` of macOS is no video, ``.trash/`` is not meant).

    Real folders come before linked ones, so that a file has its own name where it has one, and each folder is searched once.
    """
    seen: set[tuple[int, int]] = set()
    linked = [folder]
    while linked:
        waiting = [linked.pop(0)]
        while waiting:
            current = waiting.pop(0)
            try:
                state = current.stat()
                entries = sorted(os.scandir(current), key=lambda entry: entry.name)
            except OSError as error:
                print(f"{current} cannot be searched ({error.strerror}).", file=sys.stderr)
                continue
            if (state.st_dev, state.st_ino) in seen and state.st_ino:
                continue
            seen.add((state.st_dev, state.st_ino))
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                path = current / entry.name
                if not entry.is_dir():
                    yield path
                elif entry.is_symlink():
                    linked.append(path)
                else:
                    waiting.append(path)


def _is_clip(file: Path) -> bool:
    """By its name, and not a pipe or a device. A link that leads nowhere is one: who reads it says so."""
    suffix = file.suffix.lower()
    if suffix not in VIDEO_SUFFIXES or not (file.is_file() or not file.exists()):
        return False
    if suffix != ".webp":
        return True
    from .animated_webp import is_animated_webp  # with PyAV, which few folders need

    return is_animated_webp(file)
