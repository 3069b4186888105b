"""Marks that somebody else gave, as a judge: ``marks-file:PATH``, a CSV, JSON or JSONL file with a row a clip.

So what cannot be run here (LiFT-Critic, a service, people) takes part in panels and comparisons. A row names its clip (``path``,
``video``, ``id``), may name its caption, and has marks:

    LiFT's     Good, Normal or Bad and a reason, in the columns ``semantic consistency``, ``fidelity issues`` and ``motion issues``
               (the critic's output), or as conversations (LiFT-HRA): 2, 1 and 0
    others     every further column with numbers, the more the better; ``NAME_reason`` or an object ``reasons`` say why. What
               ``videoalign score`` writes is such a file

A row that cannot be read is the error of its clip; it never counts as any mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..clips.frames import View, read_frames
from ..errors import CaptionError, ClipError, TableError
from ..files.digests import content_fingerprint
from ..files.portable_paths import table_path
from ..files.tables import Row, Table, read_table
from ..preferences.importers.lift import COLUMNS as LIFT_COLUMNS
from ..preferences.importers.lift import QUESTIONS, answers_of, rating_of
from ..reward.dimensions import VIDEO_REWARD_DETAILS
from ..reward.judge import ClipMarks, Dimension, Judge
from . import JudgeError, JudgeOptions

CLIP_COLUMNS = ("path", "video", "video_path", "clip", "file", "id", "video_id")
CAPTION_COLUMNS = ("prompt", "caption")
_ABOUT = {
    *CLIP_COLUMNS, *CAPTION_COLUMNS, *VIDEO_REWARD_DETAILS, "error", "judge", "notes", "fps", "total_frames", "frames",
    "seed", "width", "height", "duration", "num_frames",
}  # fmt: skip
_REASONS, _REASON = "reasons", "_reason"
_CLASSES = "a class: Bad 0, Normal 1, Good 2"
LIFT = {
    "TA": Dimension("semantic_consistency", "whether it shows what the caption says", _CLASSES, 0.0, 2.0),
    "VQ": Dimension("fidelity", "whether people, animals and things look real", _CLASSES, 0.0, 2.0),
    "MQ": Dimension("motion_smoothness", "whether motion is smooth and follows physics", _CLASSES, 0.0, 2.0),
}
_LIFT_LICENCE = "that of the file; ratings by LiFT-Critic come from weights whose base is not for commercial use"


def open_judge(source: str | None, options: JudgeOptions) -> MarksFile:
    """The marks of the file ``source``.

    Raises:
        JudgeError: there is no source, or options that it cannot follow.
        TableError: the file cannot be read, or holds no marks.
    """
    if not source:
        raise JudgeError(
            "The judge marks-file needs a file: marks-file:PATH, a .csv, .json or .jsonl with a row a clip."
        )
    if options.sampling:
        raise JudgeError("The judge marks-file looks at no frames; leave the sampling options out.")
    path = Path(source).expanduser()
    table = read_table(path, (*LIFT_COLUMNS, *CLIP_COLUMNS, *CAPTION_COLUMNS))
    is_lift = any("conversations" in row.cells or set(QUESTIONS) & row.cells.keys() for row in table)
    return MarksFile(path, _lift_ratings(table) if is_lift else _numbers(table), is_lift)


@dataclass(frozen=True)
class Rating:
    """What one row says of a clip.

    Attributes:
        clip: as the row names it.
        caption: None where the row names none.
        marks, reasons: by dimension.
        fault: why the row cannot be used, or None.
    """

    clip: str
    caption: str | None
    marks: dict[str, float]
    reasons: dict[str, str]
    fault: str | None = None


@dataclass(frozen=True)
class RatedClip:
    """A clip with all that the file says of it."""

    name: str
    ratings: tuple[Rating, ...]
    total_frames: int
    fps: float
    notes: tuple[str, ...]


class MarksFile(Judge):
    """Marks and reasons of a file, by the clip's path, its name, or its name without the ending."""

    name = "marks-file"
    title = "marks from a file"

    def __init__(self, path: Path, ratings: Sequence[Rating], is_lift: bool) -> None:
        self.path = path
        named = dict.fromkeys(name for rating in ratings for name in rating.marks)
        if not named:
            first = next((rating.fault for rating in ratings if rating.fault), "it has no rows with numbers")
            raise TableError(f"{path} holds no marks of any clip: {first}")
        known = {dimension.name: dimension for dimension in LIFT.values()} if is_lift else {}
        self.dimensions = tuple(known.get(name) or Dimension(name, name, "as in the file") for name in named)
        self.gives_reasons = any(rating.reasons for rating in ratings)
        self.licence = _LIFT_LICENCE if is_lift else "that of the file"
        self._by_path: dict[Path, list[Rating]] = {}
        self._by_name: dict[str, dict[str, list[Rating]]] = {}
        for rating in ratings:
            self._by_path.setdefault(table_path(path.parent, rating.clip).resolve(), []).append(rating)
            name = Path(rating.clip).name
            for spelling in {name, Path(name).stem}:
                self._by_name.setdefault(spelling, {}).setdefault(rating.clip, []).append(rating)

    def identity(self) -> dict:
        """The content of the file."""
        return {"marks": content_fingerprint(self.path)[:16]}

    @property
    def view(self) -> View:
        """One frame: the clip must be one, but nobody looks at it."""
        return View(lambda total, fps: [0])

    def prepare(self, source: object, fps: float | None = None) -> RatedClip:
        """See ``Judge``.

        Raises:
            ClipError: it is no file, or the file of marks says nothing of it.
        """
        if not isinstance(source, (str, Path)):
            raise ClipError("The judge marks-file knows clips by their files; this is none.")
        ratings = self._ratings_of(Path(source))
        frames = read_frames(source, self.view, fps)
        return RatedClip(str(source), tuple(ratings), frames.total_frames, frames.fps, frames.notes)

    def score_prepared(
        self, clips: Sequence[RatedClip], captions: Sequence[Sequence[str | None]]
    ) -> list[list[ClipMarks]]:
        """See ``Judge``. Several ratings of one clip and caption are averaged."""
        return [[self._marks(clip, text) for text in texts] for clip, texts in zip(clips, captions, strict=True)]

    def _ratings_of(self, clip: Path) -> list[Rating]:
        found = self._by_path.get(clip.resolve())
        if found:
            return found
        for spelling in (clip.name, clip.stem):
            named = self._by_name.get(spelling, {})
            if len(named) == 1:
                return next(iter(named.values()))
            if named:
                raise ClipError(
                    f"{self.path} rates several clips called {spelling}: {', '.join(sorted(named)[:3])}. Give their paths."
                )
        raise ClipError(f"{self.path} says nothing of {clip.name}. Add a row for it.")

    def _marks(self, clip: RatedClip, caption: str | None) -> ClipMarks:
        fitting = [
            r for r in clip.ratings if caption is None or r.caption is None or r.caption.strip() == caption.strip()
        ]
        if not fitting:
            raise CaptionError(
                f"{self.path} rates {clip.name} for another caption, {clip.ratings[0].caption!r:.80}; score it against that one."
            )
        if len({rating.caption for rating in fitting}) > 1:
            raise CaptionError(f"{self.path} rates {clip.name} for several captions; say which one.")
        fault = next((rating.fault for rating in fitting if rating.fault), None)
        if fault:
            raise ClipError(f"The marks of {clip.name} cannot be read. {fault}")
        marks: dict[str, float | None] = {}
        reasons = {}
        for dimension in self.dimensions:
            given = [rating.marks[dimension.name] for rating in fitting if dimension.name in rating.marks]
            marks[dimension.name] = sum(given) / len(given) if given else None
            words = [rating.reasons[dimension.name] for rating in fitting if dimension.name in rating.reasons]
            if words:
                reasons[dimension.name] = "\n".join(words)
        return ClipMarks(marks, caption, clip.total_frames, clip.fps, reasons, clip.notes)


def _lift_ratings(table: Table) -> list[Rating]:
    ratings = []
    for row in table:
        clip, fault, caption = _clip_of(row), None, None
        marks, reasons = {}, {}
        try:
            caption, answers = answers_of(row)
            for key, (column, answer) in answers.items():
                marks[LIFT[key].name] = rating_of(row, column, answer)
                reasons[LIFT[key].name] = str(answer).strip()
        except TableError as error:
            fault = str(error)
        ratings.append(Rating(clip, caption, marks, reasons, fault))
    return ratings


def _numbers(table: Table) -> list[Rating]:
    rows = list(table)
    columns = [name for name in dict.fromkeys(name for row in rows for name in row.cells) if _is_marked(name, rows)]
    ratings = []
    for row in rows:
        clip, fault = _clip_of(row), None
        caption = next((row.text_or_none(name) for name in CAPTION_COLUMNS if row.has(name)), None)
        marks, reasons = {}, {}
        try:
            if row.has("error"):
                raise row.error("error", str(row.value("error")))
            for name in columns:
                number = row.number_in(name) if name in row.cells else None
                if number is not None:
                    marks[name] = number
            reasons = _reasons_of(row, columns)
        except TableError as error:
            fault = str(error)
        ratings.append(Rating(clip, caption, marks, reasons, fault))
    return ratings


def _clip_of(row: Row) -> str:
    for name in CLIP_COLUMNS:
        if row.has(name):
            return row.text_or_none(name) or ""
    raise TableError(f"{row.where}: it names no clip; expected one of the columns {', '.join(CLIP_COLUMNS)}.")


def _is_marked(name: str, rows: Iterable[Row]) -> bool:
    """Whether the column's first content is a number, and it is no column about the clip."""
    if name in _ABOUT or name == _REASONS or name.endswith(_REASON):
        return False
    first = next((row for row in rows if row.has(name)), None)
    if first is None or isinstance(first.value(name), (bool, list, dict)):
        return False
    try:
        return first.number_in(name) is not None
    except TableError:
        return False


def _reasons_of(row: Row, columns: Sequence[str]) -> dict[str, str]:
    given = row.value(_REASONS) if row.has(_REASONS) else {}
    if not isinstance(given, dict):
        raise row.error(_REASONS, "expected an object of texts by the names of the marks.")
    reasons = {name: str(given[name]) for name in columns if given.get(name)}
    for name in columns:
        if row.has(name + _REASON):
            reasons[name] = str(row.value(name + _REASON))
    return reasons
