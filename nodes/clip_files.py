"""Clips as files that the browser plays, and the entries by which ComfyUI's /view serves them."""

from __future__ import annotations

from pathlib import Path

from ..errors import ClipError
from .choice_clips import kept_clip, named_by_content
from .choice_routes import preview_folder
from .comfy_compat import folder_paths


def playable_file(source: object) -> Path:
    """A clip as browsers play it, in a folder that ComfyUI serves.

    A file that they play and that ComfyUI serves stays where it is. Anything else becomes a file in ComfyUI's temp folder,
    named by its content and made once; frames are encoded once.

    Args:
        source: a path, a binary file object, or ``Frames``.

    Raises:
        VideoAlignError: the clip cannot be read.
    """
    from ..clips.frames import Frames
    from ..clips.preview import playable

    own = preview_folder()
    if isinstance(source, Frames):
        return _written(source, own)
    if not isinstance(source, (str, Path)):
        return playable(kept_clip(source, own, own)[0], own)
    path = playable(Path(source).resolve(), own)
    return path if _place(path) else kept_clip(path, own, own)[0]


def served_file(path: str) -> Path | None:
    """``playable_file`` of a file that scores tell of, where it lies in a folder that ComfyUI serves; else None.

    A score file may name any file of the computer, and may be older than the clips.
    """
    try:
        found = Path(path).resolve()
        return playable_file(found) if found.is_file() and _place(found) else None
    except (ClipError, OSError, ValueError):
        return None


def clip_entry(path: Path) -> dict[str, str]:
    """{filename, subfolder, type} by which ComfyUI's /view serves a ``playable_file``."""
    kind, inside = _place(path.resolve())
    folder = inside.parent.as_posix()
    return {"filename": inside.name, "subfolder": "" if folder == "." else folder, "type": kind}


def _place(path: Path) -> tuple[str, Path] | None:
    """Which of ComfyUI's folders a resolved path lies in, and the path inside it."""
    for kind in ("output", "temp", "input"):
        root = Path(getattr(folder_paths, f"get_{kind}_directory")()).resolve()
        if path.is_relative_to(root):
            return kind, path.relative_to(root)
    return None


def _written(frames, folder: Path) -> Path:
    from ..clips.preview import write_playable_frames
    from ..files.file_lock import locked

    pixels, name = named_by_content(frames)
    path = folder / name
    with locked(path):
        if not path.exists():
            write_playable_frames(pixels, frames.fps, path)
    return path
