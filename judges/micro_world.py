"""The micro world's measurement as a judge, for clips of the micro world: ``micro-world``. It needs no weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..clips.frames import SampledFrames
from ..errors import CaptionError, ClipError
from ..micro_world.measure import measure
from ..micro_world.scene import parse_caption
from ..reward.dimensions import DIMENSIONS, MEANING, OVERALL
from ..reward.judge import ClipMarks, Dimension, Judge
from . import JudgeError, JudgeOptions

_UNIT = "degrees of fault: 0 faultless, -1 as bad as it gets"


def open_judge(source: str | None, options: JudgeOptions) -> MicroWorld:
    """The measurement; it has no source."""
    if source:
        raise JudgeError(f"The judge micro-world has no source; found {source!r}. Leave it out.")
    if options.sampling:
        raise JudgeError("The judge micro-world measures every frame as it is; leave the sampling options out.")
    return MicroWorld()


@dataclass(frozen=True)
class WholeClip:
    """All frames of a clip, uint8 RGB [T, H, W, 3], frames a second, and what to know of how it is shown."""

    frames: np.ndarray
    fps: float
    notes: tuple[str, ...] = ()


class MicroWorld(Judge):
    """VQ, MQ and TA of a clip as the world measures them, Overall their mean; see ``micro_world.measure``."""

    name = "micro-world"
    title = "the world's own measurement"
    dimensions = tuple(Dimension(name, MEANING[name], _UNIT, -1.0, 0.0, needs_caption=True) for name in DIMENSIONS)
    overall = Dimension(OVERALL, MEANING[OVERALL], _UNIT, -1.0, 0.0, needs_caption=True)
    licence = "Apache-2.0"

    def identity(self) -> dict:
        """Raise the version when the measurement changes."""
        return {"measurement": 1}

    def check_caption(self, caption: str | None) -> None:
        """Only captions of the world's vocabulary; see ``Judge``."""
        super().check_caption(caption)
        try:
            parse_caption(caption)
        except ValueError as error:
            raise CaptionError(f"The micro world does not know this caption: {error}") from None

    def prepare_frames(self, frames: SampledFrames) -> WholeClip:
        """See ``Judge``."""
        return WholeClip(frames.as_bytes(), frames.fps, frames.notes)

    def score_prepared(
        self, clips: Sequence[WholeClip], captions: Sequence[Sequence[str | None]]
    ) -> list[list[ClipMarks]]:
        """See ``Judge``."""
        return [[_measured(clip, text) for text in texts] for clip, texts in zip(clips, captions, strict=True)]


def _measured(clip: WholeClip, caption: str) -> ClipMarks:
    try:
        measured = measure(clip.frames, caption, clip.fps)
    except ValueError as error:
        raise ClipError(f"The clip cannot be measured by the micro world: {error}") from None
    marks = {"VQ": measured.VQ, "MQ": measured.MQ, "TA": measured.TA, OVERALL: measured.overall}
    return ClipMarks(marks, caption, len(clip.frames), clip.fps, notes=clip.notes)
