"""Which format a preference file has, by its columns or keys."""

from __future__ import annotations

from pathlib import Path

from ...errors import PreferenceFileError
from ...files.tables import iterate_rows
from ...reward.dimensions import RATED

SIGNATURES: dict[str, tuple[str, ...]] = {
    "native": ("chosen", "rejected", "prompt"),
    "videoalign": ("path_A", "path_B", "prompt"),
    "genai_bench": ("left_video", "right_video", "vote_type", "prompt"),
    "videodpo": ("video1", "video2", "frame_caption"),
    "visionreward": ("video1_path", "video2_path", "standard_answer", "prompt"),
    "lift": ("video", "conversations"),
    "scored_clips": ("path", "prompt"),
}
CRITIC = ("video", "caption", "semantic consistency")
SCORES = (*RATED, "error", "judge")
"""What a row of a score file has besides path and prompt; the first clip may have failed, and other judges have other marks."""
COMMON = {"prompt", "path", "video"}
"""Names that any table may have: they do not tell what it was meant to be."""


def detect_format(path: Path) -> str:
    """The name of the format, a key of `reading.READERS`.

    Raises PreferenceFileError that lists the columns found, and names the missing one where a format almost fits.
    """
    first = next(
        iterate_rows(path, {name for needed in (*SIGNATURES.values(), CRITIC, SCORES) for name in needed}), None
    )
    if first is None:
        raise PreferenceFileError(f"{path}: the file has no rows. Check that it is the right file.")
    columns = set(first.cells)
    for name, needed in SIGNATURES.items():
        if columns.issuperset(needed) and (name != "scored_clips" or columns.intersection(SCORES)):
            return name
    if columns.issuperset(CRITIC):
        return "lift"
    where = first.where if first.number else str(path)
    header = f"found {', '.join(first.cells) or 'none'}"
    shares = {
        name: len(columns.intersection(specific)) / len(specific)
        for name, specific in ((name, set(needed) - COMMON) for name, needed in SIGNATURES.items())
        if specific
    }
    shares["scored_clips"] = 0.5 if columns.intersection(RATED) or columns.issuperset(("path", "prompt")) else 0.0
    closest = max(shares, key=shares.__getitem__)
    if shares[closest] >= 0.5:
        missing = [column for column in SIGNATURES[closest] if column not in columns] or [" or ".join(RATED)]
        raise PreferenceFileError(
            f"{where}: this looks like {closest}, but {', '.join(map(repr, missing))} is missing; {header}. "
            "Add it, or name the format that the file has."
        )
    known = "; ".join(f"{name} ({', '.join(needed)})" for name, needed in SIGNATURES.items())
    raise PreferenceFileError(
        f"{where}: no known preference format has these columns: {header}. Known formats: {known}."
    )
