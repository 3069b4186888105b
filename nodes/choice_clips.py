"""Clips for people to choose between: files under ComfyUI's output folder, as good as the frames they come from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import VideoAlignError

if TYPE_CHECKING:
    import numpy as np

    from ..clips.frames import Frames


def choice_folder(name: str, output: Path) -> Path:
    """The folder that ``name`` means inside ComfyUI's output folder.

    Raises:
        VideoAlignError: an empty name, or one that leads out of it.
    """
    output = Path(output).resolve()
    try:
        folder = (output / name.strip()).resolve()
    except (OSError, ValueError) as error:
        raise VideoAlignError(f"The folder {name!r} cannot be used ({error}).") from None
    if not name.strip() or folder == output or not folder.is_relative_to(output):
        raise VideoAlignError(
            f"The folder {name!r} is not inside {output.name}/; give a name such as videoalign/choices."
        )
    return folder


def kept_clip(source: object, folder: Path, output: Path) -> tuple[Path, float | None, int | None]:
    """A file with the clip, its frame rate and its length.

    A file that lies in the output folder is used where it is, another one is copied; neither is encoded again. Frames are
    written as H.264 without halving the colour, less than one level of error on average. The name is made of the
    content, so that the same clip is kept once.

    Args:
        source: a path, a binary file object, or ``Frames``.
        folder: for new files.
        output: ComfyUI's output folder.

    Raises:
        VideoAlignError: the clip cannot be read or written as a video.
    """
    from ..clips.preview import rate_and_length
    from ..reward.clip import Frames

    if isinstance(source, Frames):
        return _written(source, Path(folder))
    if isinstance(source, (str, Path)):
        path = Path(source).resolve()
        if not path.is_relative_to(Path(output).resolve()):
            path = _copied(path.read_bytes(), path.suffix.lower() or ".mp4", Path(folder))
    else:
        source.seek(0)
        path = _copied(source.read(), ".mp4", Path(folder))
    return path, *rate_and_length(path)


def named_by_content(frames: Frames) -> tuple[np.ndarray, str]:
    """Frames as uint8 RGB [T, H, W, 3], and the name of an .mp4 file that holds just them.

    Raises:
        ClipError: they are no pictures.
    """
    from ..clips.pixels import check_unit, rgb_bytes

    if frames.pixels.is_floating_point():
        check_unit(frames.pixels, frames.name)
    pixels = rgb_bytes(frames.pixels)
    digest = hashlib.sha256(f"{pixels.shape} {frames.fps}".encode())
    digest.update(pixels)
    return pixels, f"{digest.hexdigest()[:24]}.mp4"


def _written(frames: Frames, folder: Path) -> tuple[Path, float, int]:
    from ..clips.video_file import write_video

    pixels, name = named_by_content(frames)
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            write_video(path, pixels, frames.fps)
        except ValueError as error:
            raise VideoAlignError(f"The clip cannot be kept as a video: {error}") from error
    return path, float(frames.fps), len(pixels)


def _copied(content: bytes, suffix: str, folder: Path) -> Path:
    from ..files.atomic_file import write_bytes

    path = folder / f"{hashlib.sha256(content).hexdigest()[:24]}{suffix}"
    if not path.exists():
        write_bytes(path, content)
    return path
