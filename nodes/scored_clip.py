"""A clip with its scores: what travels along a SCORES wire, one tuple of these."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..reward.dimensions import SIGMA, VIDEO_REWARD_DIMENSIONS
from ..reward.judge import FIRST_JUDGE, Dimension

if TYPE_CHECKING:
    import numpy as np

    from ..reward.judge import Judge, Marks

# Scores of clips that differ in one of these cannot be compared; attribute and how a person calls it.
COMPARED_ONLY_WITHIN = (
    ("prompt", "prompt"),
    ("total_frames", "number of frames"),
    ("fps", "frame rate"),
    ("model", "reward model"),
    ("judge", "judge"),
)


@dataclass(frozen=True)
class ScoredClip:
    """One clip's scores, where they come from, and the clip itself when it is at hand.

    Attributes:
        scores: marks by name of the dimension, an overall one included; None for one that does not exist (no caption).
            VideoReward's are VQ, MQ, TA and their sum, in standard deviations of its training set (sigma; 0 = average).
        name: what people call the clip.
        prompt: the caption that it was judged against, or None.
        model: name of the reward model or other judge, as people know it.
        judge: which judge that is, as score files call it.
        dimensions: what the marks mean, without the overall one.
        overall: what the overall mark means, where there is one and it is known.
        seed: the seed that the clip was sampled with, when it was told.
        total_frames, fps: length in frames and frames per second.
        raw: scores before normalisation, by dimension.
        reasons: why, by dimension, where the judge says it.
        details: further numbers of the judge, of which neither more nor less is better.
        errors: why judges of a panel gave no marks, by their names.
        notes: what to know of how the clip is shown before its scores are compared.
        path: file of the clip, when it has one.
        clip: a ComfyUI VIDEO, or None for scores read from a file.
        latent: a ComfyUI LATENT of this clip alone, or None.
        frames: small uint8 RGB pictures [n, h, w, 3] to show, in order, or None.
    """

    scores: Mapping[str, float | None]
    name: str
    prompt: str | None = None
    model: str | None = None
    judge: str = FIRST_JUDGE
    dimensions: tuple[Dimension, ...] = field(default=VIDEO_REWARD_DIMENSIONS, repr=False)
    overall: Dimension | None = field(default=None, repr=False, compare=False)
    seed: int | None = None
    total_frames: int | None = None
    fps: float | None = None
    raw: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    details: dict[str, float] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    path: str | None = None
    clip: object | None = field(default=None, repr=False, compare=False)
    latent: dict | None = field(default=None, repr=False, compare=False)
    frames: np.ndarray | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, marks: Marks, judge: Judge, name: str, **about) -> ScoredClip:
        """From a judge's marks; ``about`` are this class's other attributes."""
        return cls(
            scores=dict(marks.marks),
            name=name,
            judge=judge.name,
            dimensions=judge.dimensions,
            overall=judge.overall,
            prompt=marks.caption,
            total_frames=marks.total_frames,
            fps=marks.fps,
            raw=_raw_of(marks),
            reasons=dict(marks.reasons),
            details=_details_of(marks, judge),
            errors=dict(getattr(marks, "refused", {})),
            notes=tuple(getattr(marks, "notes", ())),
            **about,
        )

    @functools.cached_property
    def digest(self) -> str:
        """Eight hexadecimal digits that tell this clip from others: of its pictures, or of its scores where it has none."""
        content = repr((dict(self.scores), self.path, self.seed)).encode()
        if self.frames is not None:
            content = repr(self.frames.shape).encode() + self.frames.tobytes()
        return hashlib.sha256(content).hexdigest()[:8]

    @property
    def unit(self) -> str:
        """Sigma where that is the unit of all marks, else empty: other judges' units are sentences."""
        return SIGMA if all(dimension.unit == SIGMA for dimension in self.dimensions) else ""

    @property
    def all_dimensions(self) -> tuple[Dimension, ...]:
        """Those of its marks, the overall one last."""
        return self.dimensions if self.overall is None else (*self.dimensions, self.overall)

    def score(self, name: str) -> float | None:
        """The mark of a dimension; None if there is none."""
        return self.scores.get(name)

    def refusal(self, name: str) -> str | None:
        """Why the judge of this mark gave none; None where it was not asked in vain."""
        seat, dot, _ = name.rpartition(".")
        if dot:
            return self.errors.get(seat)
        return self.errors.get(self.judge.partition("+")[0]) if self.score(name) is None else None

    def shown(self) -> dict:
        """What the frontend shows of it, JSON-ready; ``marks`` says what each mark is, where it is another judge's than VideoReward."""
        return {
            "name": self.name,
            **self.scores,
            "unit": self.unit,
            "judge": self.judge,
            **({} if self.judge == FIRST_JUDGE else {"marks": [shown_mark(one) for one in self.all_dimensions]}),
            **({"errors": dict(self.errors)} if self.errors else {}),
            "reasons": dict(self.reasons),
            "prompt": self.prompt,
            "model": self.model,
            "seed": self.seed,
            "total_frames": self.total_frames,
            "fps": self.fps,
            "notes": list(self.notes),
        }


def shown_mark(dimension: Dimension) -> dict:
    """What the frontend has to know of a mark, JSON-ready."""
    return {
        "name": dimension.name,
        "meaning": dimension.meaning,
        "unit": dimension.unit,
        "lowest": dimension.lowest,
        "highest": dimension.highest,
        "higher_is_better": dimension.higher_is_better,
        "needs_caption": dimension.needs_caption,
    }


def _raw_of(marks: Marks) -> dict[str, float]:
    """Scores before normalisation, of VideoReward or of a panel's first judge; whose further judges keep theirs."""
    first = next(iter(getattr(marks, "said", {}).values()), marks)
    return dict(getattr(first, "raw", {}))


def _details_of(marks: Marks, judge: Judge) -> dict[str, float]:
    row, known = marks.to_dict(), {*marks.marks, "total_frames", "fps"}
    return {
        name: float(row[name])
        for name in judge.details
        if name not in known and isinstance(row.get(name), (int, float)) and not isinstance(row[name], bool)
    }


def comparability_notes(clips: list[ScoredClip]) -> list[str]:
    """One sentence for each thing in which the clips differ although only like may be compared with like."""
    notes = []
    for attribute, words in COMPARED_ONLY_WITHIN:
        values = {getattr(clip, attribute) for clip in clips} - {None}
        if len(values) > 1:
            notes.append(f"The clips differ in their {words}: scores compare only within one {words}.")
    return notes
