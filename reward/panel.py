"""Several judges as one: a clip is decoded once for all of them, and each gives its own marks.

No judge's marks become another's: they keep their units, and stand under the judge's name, such as ``measures.motion``. The
marks of the first judge keep their bare names where these are VideoReward's (VQ, MQ, TA, Overall), so that whatever
reads VideoReward's score files reads the panel's.

A judge that refuses a clip takes nobody else's marks along: its own do not exist (None), and ``PanelMarks.refused`` has the
cause. Only where all refuse is the clip itself refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..clips.clip_fault import is_of_the_machine, reading
from ..errors import ClipError, FileError, VideoAlignError
from .dimensions import RATED
from .judge import Dimension, Judge, Marks, Prepared, all_dimensions

if TYPE_CHECKING:
    from torch import nn

    from ..clips.frames import SampledFrames, View
    from .scoring_stream import Request

SHARED = ("total_frames", "fps")
"""Details of the clip, not of a judge: they stand in a row once."""


class PanelError(ClipError):
    """No judge of a panel can judge a clip.

    Attributes:
        causes: each judge's own error, by its name in the panel.
    """

    def __init__(self, causes: Mapping[str, VideoAlignError]) -> None:
        self.causes = dict(causes)
        texts = {name: str(cause) for name, cause in self.causes.items()}
        same = len(set(texts.values())) == 1
        super().__init__(
            next(iter(texts.values())) if same else "; ".join(f"{name}: {text}" for name, text in texts.items())
        )


@dataclass(frozen=True)
class Seat:
    """A judge in a panel.

    Attributes:
        name: of the judge, with a number where another one of its kind sits before it: ``videoreward-2``.
        judge: it.
        bare: whether its marks keep their names.
    """

    name: str
    judge: Judge
    bare: bool = False

    def column(self, name: str) -> str:
        """What the judge's ``name`` is called in the panel."""
        return name if self.bare else f"{self.name}.{name}"

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """All its dimensions, the overall one last, under their names in the panel."""
        return tuple(replace(one, name=self.column(one.name)) for one in all_dimensions(self.judge))

    @property
    def details(self) -> tuple[str, ...]:
        """Its own further columns."""
        return tuple(self.column(name) for name in self.judge.details if name not in SHARED)

    @property
    def reads_views(self) -> bool:
        """Whether it takes frames that were read for several; else it reads its clips by itself."""
        return getattr(type(self.judge), "prepare_frames", Judge.prepare_frames) is not Judge.prepare_frames


@dataclass(frozen=True)
class PanelClip:
    """A clip as every judge wants it, or why a judge refuses it; in the order of the seats.

    Attributes:
        prepared: what each judge's ``prepare`` gave.
        name: what messages call the clip.
    """

    prepared: tuple[Prepared | VideoAlignError, ...]
    name: str


@dataclass(frozen=True)
class PanelMarks:
    """``Marks`` of several judges.

    Attributes:
        seats: who was asked.
        said: what each says, or its error, by the seat's name; at least one has marks.
        caption: what the clip was judged against.
    """

    seats: tuple[Seat, ...]
    said: Mapping[str, Marks | VideoAlignError]
    caption: str | None

    @cached_property
    def given(self) -> dict[str, Marks]:
        """The marks of those who gave some, by the seat's name."""
        return {name: marks for name, marks in self.said.items() if not isinstance(marks, VideoAlignError)}

    @cached_property
    def refused(self) -> dict[str, str]:
        """Why the others gave none, by the seat's name."""
        return {name: str(error) for name, error in self.said.items() if isinstance(error, VideoAlignError)}

    @property
    def marks(self) -> dict[str, float | None]:
        """All marks under their names in the panel; None for those of a judge that refused."""
        return {
            dimension.name: self.given[seat.name].marks.get(own.name) if seat.name in self.given else None
            for seat in self.seats
            for dimension, own in zip(seat.dimensions, all_dimensions(seat.judge), strict=True)
        }

    @property
    def reasons(self) -> dict[str, str]:
        """Why, by the marks' names in the panel."""
        seats = [seat for seat in self.seats if seat.name in self.given]
        return {seat.column(name): text for seat in seats for name, text in self.given[seat.name].reasons.items()}

    @property
    def total_frames(self) -> int:
        """Of the clip."""
        return next(iter(self.given.values())).total_frames

    @property
    def fps(self) -> float:
        """Frames per second of the clip."""
        return next(iter(self.given.values())).fps

    @property
    def notes(self) -> tuple[str, ...]:
        """All that is to be known of the clip, each once."""
        return tuple(dict.fromkeys(note for marks in self.given.values() for note in marks.notes))

    def to_dict(self) -> dict:
        """See ``Marks``: each judge's own content under its names in the panel, then ``errors`` of those who refused, and
        ``lower_is_better``, the marks of which less is better: whoever reads the row knows no judge.
        """
        row: dict[str, Any] = dict(self.marks)
        for seat in self.seats:
            own = self.given[seat.name].to_dict() if seat.name in self.given else {}
            row |= {
                seat.column(name): value for name, value in own.items() if name not in (*SHARED, "reasons", "notes")
            }
        row |= {"reasons": self.reasons} if self.reasons else {}
        row |= {"total_frames": self.total_frames, "fps": self.fps}
        row |= {"notes": list(self.notes)} if self.notes else {}
        row |= {"errors": self.refused} if self.refused else {}
        lower = lower_is_better(one for seat in self.seats for one in seat.dimensions)
        return row | ({"lower_is_better": lower} if lower else {})


class Panel(Judge):
    """Judges that look at each clip in one pass of decoding.

    Each is asked as it would be alone (in the same batches, its captions together or apart), so its marks are those it gives
    alone, bit for bit.

    Args:
        judges: at least one; the first decides what stays bare, and its overall mark is the panel's.
    """

    gives_reasons = False

    def __init__(self, judges: Sequence[Judge]) -> None:
        if not judges:
            raise ValueError("A panel needs at least one judge.")
        self.seats = _seated(judges)
        self.name = "+".join(seat.name for seat in self.seats)
        self.title = " and ".join(judge.title for judge in judges)
        self.licence = "; ".join(f"{seat.name}: {seat.judge.licence}" for seat in self.seats if seat.judge.licence)
        first, *further = self.seats
        kept = first.dimensions if first.judge.overall is None else first.dimensions[:-1]
        self.dimensions = (*kept, *(one for seat in further for one in seat.dimensions))
        self.overall = None if first.judge.overall is None else first.dimensions[-1]
        self.details = (*(name for seat in self.seats for name in seat.details), *SHARED)
        self.gives_reasons = any(judge.gives_reasons for judge in judges)

    def identity(self) -> dict:
        """That of every judge, by its name in the panel; see ``Judge``."""
        return {"judges": {seat.name: {"judge": seat.judge.name, **seat.judge.identity()} for seat in self.seats}}

    @property
    def views(self) -> list[View]:
        """What the judges look at, for ``clips.frames.read_for_several``; those who read by themselves are left out."""
        return [seat.judge.view for seat in self.seats if seat.reads_views]

    def check_caption(self, caption: str | None) -> None:
        """Refuse what every judge refuses; see ``Judge``."""
        causes: dict[str, VideoAlignError] = {}
        for seat in self.seats:
            try:
                return seat.judge.check_caption(caption)
            except VideoAlignError as error:
                causes[seat.name] = error
        raise PanelError(causes)

    def prepare(self, source: object, fps: float | None = None) -> PanelClip:
        """Decode once, and make ready for each; see ``Judge``.

        Where that one pass fails (a judge cannot choose from such a clip, all views together do not fit into memory), each
        judge reads the clip by itself, and fails or does not, as it would alone.
        """
        return self.prepare_beside(source, (), fps)[0]

    def prepare_beside(
        self, source: object, others: Sequence[View], fps: float | None = None
    ) -> tuple[PanelClip, list[SampledFrames]]:
        """``prepare``, and what ``others`` want to see of the clip, from the same pass where there is one."""
        from ..clips.frames import read_for_several

        name = str(source) if isinstance(source, (str, Path)) else getattr(source, "name", None) or "The clip"
        start = source.tell() if hasattr(source, "read") and hasattr(source, "tell") else None
        views = [*self.views, *others]
        seen: list[SampledFrames] | None = None
        try:
            seen = read_for_several(source, views, fps) if views else []
        except Exception as error:
            if isinstance(error, FileError) or is_of_the_machine(error):
                with reading(name):
                    raise
        frames = iter(seen or ())

        def again() -> object:
            if start is not None:
                source.seek(start)  # type: ignore[attr-defined]
            return source

        def of(seat: Seat) -> Prepared:
            if seat.reads_views and seen is not None:
                return seat.judge.prepare_frames(next(frames))
            return seat.judge.prepare(again(), fps)

        clip = self._clip(of, name)
        if seen is not None:
            return clip, list(frames)
        with reading(name):
            return clip, read_for_several(again(), others, fps) if others else []

    def prepare_views(self, frames: Sequence[SampledFrames], name: str = "The clip") -> PanelClip:
        """Make ready what was read for ``views``, in their order, for whoever reads for others besides the panel.

        Raises:
            ClipError: no judge can judge them, or one reads its clips by itself.
        """
        if not all(seat.reads_views for seat in self.seats):
            raise ClipError(f"{name}: a judge of {self.name} reads its clips by itself; give it the clip's file.")
        seen = dict(zip((seat.name for seat in self.seats), frames, strict=True))
        return self._clip(lambda seat: seat.judge.prepare_frames(seen[seat.name]), name)

    def score_prepared(
        self, clips: Sequence[PanelClip], captions: Sequence[Sequence[str | None]]
    ) -> list[list[PanelMarks]]:
        """See ``Judge``; each judge is asked in turn."""
        from .scoring_stream import Request

        said: list[list[dict[str, Marks | VideoAlignError]]] = [[{} for _ in texts] for texts in captions]
        for index, seat in enumerate(self.seats):
            window = [
                (Request(clip.name, tuple(texts)), clip.prepared[index])
                for clip, texts in zip(clips, captions, strict=True)
            ]
            for rows, answers in zip(said, self.answers(seat, window), strict=True):
                for row, answer in zip(rows, answers, strict=True):
                    row[seat.name] = answer
        return [
            [self._marks(row, caption) for row, caption in zip(rows, texts, strict=True)]
            for rows, texts in zip(said, captions, strict=True)
        ]

    def answers(
        self, seat: Seat, window: list[tuple[Request, Prepared | VideoAlignError]]
    ) -> list[Sequence[Marks | VideoAlignError]]:
        """One judge's answer to each caption of each clip: for whoever must make room for it first."""
        return _asked(seat.judge, window)

    def batch_length(self, clip: PanelClip) -> int:
        """Clips of any length share a window: each judge groups them by its own measure."""
        return 1

    def working_memory(self, clip: PanelClip) -> int:
        """The most that one of them takes: they work one after another; see ``Judge``."""
        return max(seat.judge.working_memory(own) for seat, own in self._prepared(clip))

    def described(self, clip: PanelClip) -> str:
        """See ``Judge``."""
        return "; ".join(f"{seat.name}: {seat.judge.described(own)}" for seat, own in self._prepared(clip))

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """Those of all."""
        return tuple(module for seat in self.seats for module in seat.judge.modules)

    def _prepared(self, clip: PanelClip) -> list[tuple[Seat, Prepared]]:
        pairs = zip(self.seats, clip.prepared, strict=True)
        return [(seat, own) for seat, own in pairs if not isinstance(own, VideoAlignError)]

    def _clip(self, prepare: Callable[[Seat], Prepared], name: str) -> PanelClip:
        prepared: list[Prepared | VideoAlignError] = []
        for seat in self.seats:
            try:
                with reading(name):
                    prepared.append(prepare(seat))
            except FileError:
                raise
            except VideoAlignError as error:
                prepared.append(error)
        if all(isinstance(one, VideoAlignError) for one in prepared):
            raise PanelError({seat.name: error for seat, error in zip(self.seats, prepared, strict=True)})
        return PanelClip(tuple(prepared), name)

    def _marks(self, said: dict[str, Marks | VideoAlignError], caption: str | None) -> PanelMarks:
        causes = {name: answer for name, answer in said.items() if isinstance(answer, VideoAlignError)}
        if len(causes) == len(said):
            raise PanelError(causes)
        return PanelMarks(self.seats, said, caption)


def seats_of(judge: Judge) -> tuple[Seat, ...]:
    """Those of a panel; a judge alone sits by itself, under its own names."""
    return judge.seats if isinstance(judge, Panel) else (Seat(judge.name, judge, bare=True),)


def lower_is_better(dimensions: Iterable[Dimension]) -> list[str]:
    """Names of the dimensions of which less is better."""
    return [one.name for one in dimensions if not one.higher_is_better]


def _seated(judges: Sequence[Judge]) -> tuple[Seat, ...]:
    seats: list[Seat] = []
    for judge in judges:
        name, number = judge.name, 1
        while name in {seat.name for seat in seats}:
            number += 1
            name = f"{judge.name}-{number}"
        bare = not seats and {one.name for one in all_dimensions(judge)} <= set(RATED)
        seats.append(Seat(name, judge, bare))
    return tuple(seats)


def _asked(
    judge: Judge, window: list[tuple[Request, Prepared | VideoAlignError]]
) -> list[Sequence[Marks | VideoAlignError]]:
    """A judge's answer to each caption of each clip. Captions of which it refuses one are asked apart, as a run asks them."""
    from .scoring_stream import score_ready

    checked = [(request, _refused_by(judge, request) or clip) for request, clip in window]
    answers: list[Sequence[Marks | VideoAlignError]] = []
    for (request, answer), (_, clip) in zip(score_ready(judge, checked), window, strict=True):
        if not isinstance(answer, VideoAlignError):
            answers.append(answer)
        elif len(request.captions) == 1 or isinstance(clip, VideoAlignError):
            answers.append([answer] * len(request.captions))
        else:
            apart = [[(replace(request, captions=(caption,)), clip)] for caption in request.captions]
            answers.append([_asked(judge, one)[0][0] for one in apart])
    return answers


def _refused_by(judge: Judge, request: Request) -> VideoAlignError | None:
    try:
        for caption in request.captions:
            judge.check_caption(caption)
    except VideoAlignError as error:
        return error
    return None
