"""What a judge of clips is, for all that scores, ranks, compares and shows.

A judge looks at a clip and says something about it: a reward model, a measurement, a model that writes its reasons. Its
marks have names, units and ranges of its own. Nothing outside of a judge knows how it comes to them.

The way of a clip: ``prepare`` (read and resize, in a worker thread), then ``score_prepared`` (a batch of clips, each with
its captions, in one thread, on the judge's device). A judge that compares two clips without marking either is not of
this protocol.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import CaptionError

if TYPE_CHECKING:
    from torch import nn

    from ..clips.frames import SampledFrames, View

FIRST_JUDGE = "videoreward"
"""The judge of score files and journals that name none: those of 0.1.0."""
Prepared = Any
"""A clip as its judge wants it; only that judge knows what it is."""


@dataclass(frozen=True)
class Dimension:
    """One thing that a judge gives a mark for.

    Attributes:
        name: short, unique among the judge's dimensions; the column of a score file.
        meaning: for people, such as "visual quality".
        unit: what a difference of 1 is, in a few words.
        lowest, highest: range of the marks; None where there is no bound.
        higher_is_better: else the lower mark is the better one.
        needs_caption: there is no mark without a caption.
    """

    name: str
    meaning: str
    unit: str
    lowest: float | None = None
    highest: float | None = None
    higher_is_better: bool = True
    needs_caption: bool = False

    def merit(self, mark: float) -> float:
        """The mark with more always better: for ranking and for comparing."""
        return mark if self.higher_is_better else -mark


class Marks(Protocol):
    """What a judge says about one clip and one caption."""

    @property
    def marks(self) -> Mapping[str, float | None]:
        """By name of the dimension, the overall one included; None for a mark that does not exist (no caption)."""

    @property
    def reasons(self) -> Mapping[str, str]:
        """Why, in words, by name of the dimension; empty where the judge gives none."""

    @property
    def caption(self) -> str | None:
        """What the clip was judged against."""

    @property
    def total_frames(self) -> int:
        """Of the clip."""

    @property
    def fps(self) -> float:
        """Frames per second of the clip."""

    @property
    def notes(self) -> Sequence[str]:
        """What to know of how the clip is shown (``SampledFrames.notes``) before its marks are compared."""

    def to_dict(self) -> dict:
        """JSON-ready: the marks by name, and what else a row of a score file keeps."""


@dataclass(frozen=True)
class ClipMarks:
    """``Marks`` of a judge that keeps nothing else. Attributes as there."""

    marks: Mapping[str, float | None]
    caption: str | None
    total_frames: int
    fps: float
    reasons: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def to_dict(self) -> dict:
        """See ``Marks``."""
        reasons = {"reasons": dict(self.reasons)} if self.reasons else {}
        notes = {"notes": list(self.notes)} if self.notes else {}
        return {**self.marks, **reasons, "total_frames": self.total_frames, "fps": self.fps, **notes}


@dataclass(frozen=True)
class DetailedMarks(ClipMarks):
    """``ClipMarks`` with what else a row of the score file has: ``details``, by the judge's names for them."""

    details: Mapping[str, float | None] = field(default_factory=dict)

    def to_dict(self) -> dict:
        """See ``Marks``."""
        rest = super().to_dict()
        marks = {name: rest.pop(name) for name in self.marks}
        return {**marks, **self.details, **rest}


class Judge(Protocol):
    """A judge of clips. A class may inherit this one, and has its defaults then.

    Attributes:
        name: as on the command line and in score files, such as ``videoreward``.
        title: as a page calls it.
        dimensions: what it gives marks for.
        overall: one mark for the whole, or None. It is among the marks, and not among the dimensions.
        details: further columns that a row of its score file has, after the marks.
        gives_reasons: whether there are ``Marks.reasons``.
        licence: under which its weights may be used.
    """

    name: str
    title: str
    dimensions: tuple[Dimension, ...]
    overall: Dimension | None = None
    details: tuple[str, ...] = ("total_frames", "fps")
    gives_reasons: bool = False
    licence: str = ""

    @abstractmethod
    def identity(self) -> dict:
        """What a stored mark depends on besides clip and caption, JSON-ready: a run of another identity starts anew."""

    @property
    def view(self) -> View:
        """Which frames it looks at, and how large; the whole clip by default.

        Several judges' views are read from one pass over a clip (``clips.frames.read_for_several``). Its ``choose`` may
        raise a ClipError for a clip that cannot be judged.
        """
        from ..clips.frames import View, every_frame

        return View(every_frame)

    def prepare_frames(self, frames: SampledFrames) -> Prepared:
        """Make what ``view`` shows ready for ``score_prepared``.

        Raises:
            ClipError: it cannot judge them.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither prepare_frames nor a prepare of its kind.")

    def prepare(self, source: object, fps: float | None = None) -> Prepared:
        """Read a clip and make it ready. Runs in several threads at once.

        Args:
            source: a path, a binary file object, an open PyAV container, or ``Frames``.
            fps: overrides the clip's own frame rate, in frames per second.

        Raises:
            ClipError: the clip cannot be judged.
        """
        from ..clips.frames import read_frames

        return self.prepare_frames(read_frames(source, self.view, fps))

    def check_caption(self, caption: str | None) -> None:
        """Refuse a caption that it cannot judge by.

        Raises:
            CaptionError: it is empty or not a string, or all marks need one and there is none.
        """
        if caption is None:
            if all(dimension.needs_caption for dimension in self.dimensions):
                raise CaptionError(f"The judge {self.name} needs a caption for each of its marks; give one.")
        elif not isinstance(caption, str):
            raise CaptionError(f"A caption must be text; got {type(caption).__name__}.")
        elif not caption.strip():
            raise CaptionError("The caption is empty. Leave it out to get the marks that need none.")

    @abstractmethod
    def score_prepared(
        self, clips: Sequence[Prepared], captions: Sequence[Sequence[str | None]]
    ) -> Sequence[Sequence[Marks]]:
        """Marks of prepared clips, for each clip one for each of its captions.

        Raises:
            VideoAlignError: one of them cannot be judged.
        """

    def batch_length(self, clip: Prepared) -> int:
        """What a clip takes of a batch that is padded to its longest: clips of very different length share none."""
        return 1

    def working_memory(self, clip: Prepared) -> int:
        """Bytes that scoring a clip takes on the device beside the weights, generously."""
        return 0

    def described(self, clip: Prepared) -> str:
        """How large a prepared clip is, in a few words, for an error message."""
        return "the clip"

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """What has weights, for whoever moves them between devices; none for a measurement.

        Plain modules: a manager may set attributes of its own on them, such as ``device``.
        """
        return ()


def all_dimensions(judge: Judge) -> tuple[Dimension, ...]:
    """The dimensions and, last, the overall one, if there is one."""
    return judge.dimensions if judge.overall is None else (*judge.dimensions, judge.overall)
