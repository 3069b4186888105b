"""Finds for each clip of one set its counterpart in the other: the same prompt and the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...clips.find import CLIP_LIST
from ...errors import VideoAlignError
from ...files.portable_paths import table_path
from ...files.tables import read_table


@dataclass(frozen=True)
class MadeClip:
    """One generated clip: its name in the set, file, prompt, seed and what else the manifest tells of it."""

    id: str
    path: Path
    prompt: str
    seed: int
    model: str


def read_manifest(folder: Path) -> list[MadeClip]:
    """The clips of a folder that ``videoalign generate`` wrote.

    Args:
        folder: the folder, or its clips.jsonl.

    Raises:
        VideoAlignError: no manifest, or a line that is not one. A clip that is not there has no scores later on.
    """
    manifest = folder / CLIP_LIST if folder.is_dir() else folder
    if not manifest.is_file():
        raise VideoAlignError(f"{folder} holds no {CLIP_LIST}; give a folder that videoalign generate wrote.")
    clips = []
    for row in read_table(manifest, ("id", "path", "prompt", "seed", "model"), suffix=".jsonl", growing=True):
        seed = row.integer_in("seed")
        if seed is None:
            raise row.error("seed", "expected the clip's seed: give a folder that videoalign generate wrote.")
        clip = MadeClip(
            row.text("id"),
            table_path(manifest.parent, row.text("path")),
            row.text("prompt"),
            seed,
            row.text_or_none("model") or "",
        )
        clips.append(clip)
    if not clips:
        raise VideoAlignError(f"{manifest} lists no clip; let videoalign generate finish first.")
    return clips


def match(base: list[MadeClip], candidate: list[MadeClip]) -> list[tuple[MadeClip, MadeClip]]:
    """Pairs of clips with the same prompt and seed, in the order of the base; what has no counterpart is left out.

    Raises:
        VideoAlignError: a prompt and seed occur twice in one set, or nothing matches.
    """
    tables = []
    for name, clips in (("base", base), ("candidate", candidate)):
        table: dict[tuple[str, int], MadeClip] = {}
        for clip in clips:
            if table.setdefault((clip.prompt, clip.seed), clip) is not clip:
                raise VideoAlignError(
                    f"The {name} has two clips of seed {clip.seed} for {clip.prompt!r} ({table[clip.prompt, clip.seed].id}, "
                    f"{clip.id}); keep one set of clips in a folder."
                )
        tables.append(table)
    pairs = [(tables[0][key], tables[1][key]) for key in tables[0] if key in tables[1]]
    if not pairs:
        raise VideoAlignError(
            "No clip of the two sets has the same prompt and seed; generate both from the same prompts with the same seeds."
        )
    return pairs
