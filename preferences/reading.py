"""One reader for preference files of every form: it tells the form once, and calls that form's importer."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import PreferenceFileError
from .importers.detect import detect_format
from .importers.genai_bench import read_genai_bench
from .importers.lift import read_lift
from .importers.native import read_native
from .importers.scored_clips import read_scored_pairs
from .importers.videoalign import read_videoalign_csv
from .importers.videodpo import read_videodpo
from .importers.visionreward import read_visionreward
from .preference_file import Preferences, ResolvedPair

READERS: dict[str, Callable[..., Preferences]] = {
    "native": read_native,
    "videoalign": read_videoalign_csv,
    "genai_bench": read_genai_bench,
    "videodpo": read_videodpo,
    "visionreward": read_visionreward,
    "lift": read_lift,
    "scored_clips": read_scored_pairs,
}
"""Importers by format name; each takes (path, root=None, **options)."""

TRAINING_OPTIONS: dict[str, dict[str, Any]] = {"scored_clips": {"pairing": "all"}}
"""What a trainer asks of an importer: every two clips of a prompt, ties among them; margins and losses decide later."""


def read_preferences(
    path: str | os.PathLike, format: str = "auto", root: str | os.PathLike | None = None, **options: Any
) -> Preferences:
    """Read a preference file of any known format, one of `READERS`.

    `format` "auto" tells it by the columns or keys. `root` is the folder that relative paths start from (default: the
    file's). `options` go to the importer. Raises PreferenceFileError with file, row, column and what to do.
    """
    path = _existing(path)
    chosen = detect_format(path) if format == "auto" else format
    if chosen not in READERS:
        raise PreferenceFileError(f"format {chosen!r} is unknown; choose one of auto, {', '.join(READERS)}.")
    try:
        preferences = READERS[chosen](path, root=Path(root) if root is not None else path.parent, **options)
    except PreferenceFileError as error:
        raise error if str(path) in str(error) else PreferenceFileError(f"{path}, {error}") from None
    if not preferences.pairs:
        raise PreferenceFileError(f"{path}: no pairs found (read as {chosen}). Check that it is the right file.")
    return preferences


def read_pairs(
    paths: Sequence[str | os.PathLike], root: str | os.PathLike | None = None, clips_needed: bool = True
) -> list[ResolvedPair]:
    """The pairs of some files as every trainer takes them, with their clips resolved; score files give their ties too.

    Where clips are not needed it is not looked whether they are there.

    Raises PreferenceFileError: a file cannot be read, or a clip is missing; the message names the row.
    """
    pairs: list[ResolvedPair] = []
    for path in paths:
        detected = detect_format(_existing(path))
        preferences = read_preferences(path, detected, root, **TRAINING_OPTIONS.get(detected, {}))
        if clips_needed:
            preferences.check_clips()
        pairs += preferences.resolved()
    return pairs


def _existing(path: str | os.PathLike) -> Path:
    path = Path(path)
    if not path.is_file():
        raise PreferenceFileError(f"{path}: there is no such file. Check the path to the preference file.")
    return path
