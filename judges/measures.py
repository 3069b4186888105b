"""Measurements without any weights as a judge: ``measures``. They need OpenCV (the extra ``[measure]``)."""

from __future__ import annotations

from collections.abc import Sequence

from ..clips.frames import SampledFrames, View, every_frame
from ..measures.clip_measures import DETAILS, DIMENSIONS, clip_details, clip_marks
from ..measures.opencv import OpenCVMissing, opencv
from ..measures.trace import ClipTrace, ClipWatcher
from ..reward.judge import DetailedMarks, Judge
from . import JudgeError, JudgeOptions


def open_judge(source: str | None, options: JudgeOptions) -> Measures:
    """The measurements; they have no source.

    Raises:
        JudgeError: there is no OpenCV, or options that they cannot follow.
    """
    if source:
        raise JudgeError(f"The judge measures has no source; found {source!r}. Leave it out.")
    if options.sampling:
        raise JudgeError(
            "The judge measures looks at every frame, at sizes of its own; leave the sampling options out."
        )
    try:
        opencv()
    except OpenCVMissing as error:
        raise JudgeError(f"The judge measures cannot be opened. {error}") from error
    return Measures()


class Measures(Judge):
    """Motion, flicker, standstill, sharpness, light, colour and cuts; there is no mark for the whole. See ``measures``."""

    name = "measures"
    title = "measurements"
    dimensions = DIMENSIONS
    details = (*DETAILS, "total_frames", "fps")
    licence = "Apache-2.0"

    def identity(self) -> dict:
        """Raise the version when a measurement changes."""
        return {"measures": 1}

    @property
    def view(self) -> View:
        """Every frame, one after another: a clip of any length fits into memory."""
        return View(every_frame, watch=ClipWatcher)

    def prepare_frames(self, frames: SampledFrames) -> ClipTrace:
        """See ``Judge``."""
        return frames.watcher.trace

    def score_prepared(
        self, clips: Sequence[ClipTrace], captions: Sequence[Sequence[str | None]]
    ) -> list[list[DetailedMarks]]:
        """See ``Judge``."""
        return [[_marks(clip, text) for text in texts] for clip, texts in zip(clips, captions, strict=True)]


def _marks(trace: ClipTrace, caption: str | None) -> DetailedMarks:
    return DetailedMarks(clip_marks(trace), caption, trace.total, trace.fps, details=clip_details(trace))
