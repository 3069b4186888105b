"""Who judges: a video reward model, and, for clips of the micro world, the world's own measurement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import VideoAlignError
from ...files.tables import read_table
from .matching import MadeClip

DIMENSIONS = ("VQ", "MQ", "TA", "Overall")
Scores = dict[str, dict[str, float]]  # clip id -> dimension -> score


def read_scores(path: Path, clips: Sequence[MadeClip]) -> Scores:
    """Scores of a set from a file of ``videoalign score``.

    Raises:
        VideoAlignError: a clip of the set has no score.
    """
    found = {
        row.text_or_none("id"): {name: row.number_in(name) for name in DIMENSIONS}
        for row in read_table(path, ("id", *DIMENSIONS))
        if all(row.has(name) for name in DIMENSIONS)
    }
    missing = [clip.id for clip in clips if clip.id not in found]
    if missing:
        raise VideoAlignError(
            f"{path}: {len(missing)} clips have no score, the first is {missing[0]}. Score the folder again."
        )
    return {clip.id: found[clip.id] for clip in clips}


def measure_micro_world(clips: Sequence[MadeClip]) -> Scores:
    """The micro world's own measurement of each clip: 0 faultless to -1, Overall their mean.

    Raises:
        VideoAlignError: a caption outside the world's vocabulary, or frames of another form.
    """
    from ...clips.video_file import read_video
    from ...micro.world import measure

    scores = {}
    for clip in clips:
        frames, fps = read_video(clip.path)
        try:
            found = measure(frames, clip.prompt, fps)
        except ValueError as error:
            raise VideoAlignError(f"{clip.path} cannot be measured by the micro world: {error}") from None
        scores[clip.id] = {"VQ": found.VQ, "MQ": found.MQ, "TA": found.TA, "Overall": found.overall}
    return scores
