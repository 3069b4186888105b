"""Finds for each clip of one set its counterpart in the other: the same prompt and the same seed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ...clips.find import CLIP_LIST
from ...errors import VideoAlignError


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
        VideoAlignError: no manifest, a line that is not one, or a clip that is not there.
    """
    manifest = folder / CLIP_LIST if folder.is_dir() else folder
    if not manifest.is_file():
        raise VideoAlignError(f"{folder} holds no {CLIP_LIST}; give a folder that videoalign generate wrote.")
    clips = []
    for number, line in enumerate(manifest.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            clip = MadeClip(
                row["id"], manifest.parent / row["path"], row["prompt"], int(row["seed"]), row.get("model", "")
            )
        except (ValueError, KeyError, TypeError) as error:
            raise VideoAlignError(
                f"{manifest}, line {number}: expected id, path, prompt and seed ({error!r})."
            ) from None
        if not clip.path.is_file():
            raise VideoAlignError(f"{manifest}, line {number}: the clip {clip.path} is missing; generate it again.")
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
