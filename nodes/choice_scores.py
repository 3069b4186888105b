"""What *Choose A or B* is given: clips alone or with their scores, which are kept beside the clips in a score file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..errors import VideoAlignError
from .clip_files import served_file
from .clip_input import input_clips
from .score_file import append_scores, read_scores
from .scored_clip import ScoredClip


def given_clips(value: object, fps: float, clips_in_batch: int) -> Iterator[tuple[object, ScoredClip | None]]:
    """What is to be read of each clip of a wire, and its scores where the wire brings any.

    Args:
        value: SCORES (a tuple of `ScoredClip`), a VIDEO, or IMAGE frames; see `input_clips`.
        fps, clips_in_batch: of IMAGE frames; SCORES have their own, and their clips are apart.

    Raises:
        VideoAlignError: the frames do not divide, or the scores come from a file and their clip is not at hand.
    """
    if not isinstance(value, (tuple, list)):
        for part in input_clips(value, fps, clips_in_batch, None):
            yield part.source, None
        return
    for scored in value:
        if scored.clip is not None:
            (part,) = input_clips(scored.clip, scored.fps or fps, 1, None)
            yield part.source, scored
        elif scored.path and (path := served_file(scored.path)) is not None:
            yield path, scored
        else:
            raise VideoAlignError(
                f"{scored.name} has scores but no clip that could be shown: its file is not in ComfyUI's input or output "
                "folder. Move it there, or connect the SCORES of Score Video."
            )


def keep_scores(file: Path, clips: list[ScoredClip]) -> None:
    """Append those that the score file does not say already; a clip's last row counts.

    Args:
        file: ending in .jsonl; made where it is missing.
        clips: with paths as the file is to name them.

    Raises:
        VideoAlignError: it is no score file, or cannot be written.
    """
    said = {}
    if file.is_file() and file.stat().st_size:
        said = {_whose(clip): _what(clip) for clip in read_scores(file)}
    new = [clip for clip in clips if said.get(_whose(clip)) != _what(clip)]
    if new:
        append_scores(file, new)


def kept_as(scored: ScoredClip, path: str, prompt: str) -> ScoredClip:
    """The scores of a clip that was kept under another path; judged without a caption, they are of this prompt too."""
    return replace(scored, path=path, prompt=scored.prompt or prompt)


def _whose(clip: ScoredClip) -> tuple[str | None, str | None, str]:
    return clip.path, clip.prompt, clip.judge


def _what(clip: ScoredClip) -> tuple[dict, dict]:
    return {name: mark for name, mark in clip.scores.items() if mark is not None}, dict(clip.reasons)
