"""Pictures for the frontend: files in ComfyUI's temp folder, named by their content, and the entries that point to them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from .comfy_compat import folder_paths
from .scored_clip import ScoredClip

_SUBFOLDER = "videoalign"


def frame_files(clip: ScoredClip) -> list[dict[str, str]]:
    """Save a clip's small frames; entries {filename, subfolder, type} that ComfyUI's /view serves."""
    if clip.frames is None:
        return []
    from PIL import Image

    folder = Path(folder_paths.get_temp_directory()) / _SUBFOLDER
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for frame in clip.frames:
        name = hashlib.sha256(repr(frame.shape).encode() + frame.tobytes()).hexdigest()[:24] + ".png"
        if not (folder / name).exists():
            Image.fromarray(frame).save(folder / name, compress_level=1)
        entries.append({"filename": name, "subfolder": _SUBFOLDER, "type": "temp"})
    return entries


def shown_clip(clip: ScoredClip) -> dict:
    """What the frontend draws of a clip: scores, where they come from, and frames."""
    return {**clip.shown(), "frames": frame_files(clip)}
