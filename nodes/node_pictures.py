"""Pictures for the frontend: files in ComfyUI's temp folder, named by their content, and the entries that point to them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from .clip_routes import offered
from .comfy_compat import folder_paths
from .scored_clip import ScoredClip

_SUBFOLDER = "videoalign"


def frame_files(clip: ScoredClip, count: int | None = None) -> list[dict[str, str]]:
    """Save a clip's small frames; entries {filename, subfolder, type} that ComfyUI's /view serves.

    Args:
        count: how many, from the middle; None for all.
    """
    if clip.frames is None:
        return []
    first = 0 if count is None else (len(clip.frames) - count) // 2
    from PIL import Image

    folder = Path(folder_paths.get_temp_directory()) / _SUBFOLDER
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for frame in clip.frames[first : None if count is None else first + count]:
        name = hashlib.sha256(repr(frame.shape).encode() + frame.tobytes()).hexdigest()[:24] + ".png"
        if not (folder / name).exists():
            Image.fromarray(frame).save(folder / name, compress_level=1)
        entries.append({"filename": name, "subfolder": _SUBFOLDER, "type": "temp"})
    return entries


def shown_clip(clip: ScoredClip, pictures: int | None = None) -> dict:
    """What the frontend draws of a clip: scores, where they come from, frames (``pictures`` of them) and how to play it."""
    return {**clip.shown(), "frames": frame_files(clip, pictures), "play": offered(clip.clip)}
