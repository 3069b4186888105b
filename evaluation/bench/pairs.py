"""The pairs of a benchmark with their sides A and B as in its file, and the distinct clips that they are made of."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import VideoAlignError
from ...files.portable_paths import table_path
from ...preferences.preference_file import PreferencePair, Preferences
from ..scoring.score_rows import ScoreRow

SIDES = ("A", "B")
SPELLINGS = ("{name}_{side}", "{side}_{name}")
"""How a table calls a column that each side has: fps_A, A_model."""


class BenchClip(NamedTuple):
    """What is scored once, in however many pairs it stands."""

    file: Path
    """Absolute, so that two spellings of a path are one clip."""
    prompt: str
    fps: float | None = None
    """Overrides the clip's own rate; only the pairs of a native file do that (the official script goes by the clip)."""


@dataclass(frozen=True)
class BenchPair:
    """Two clips of one prompt and people's labels.

    Attributes:
        where: "row 3" or "line 3" of the file, for messages.
        labels: per dimension "A", "B", "same" or "invalid".
        a, b: the clips.
        paths: of A and B, as the file spells them.
        columns: the file's other columns; those of a side are called as in VideoGen-RewardBench (A_model, fps_A).
    """

    where: str
    prompt: str
    labels: Mapping[str, str]
    a: BenchClip
    b: BenchClip
    paths: tuple[str, str]
    columns: Mapping[str, Any]

    @property
    def clips(self) -> tuple[BenchClip, BenchClip]:
        """A and B."""
        return self.a, self.b

    def of_side(self, name: str, side: str) -> Any:
        """The cell of one side ("A" or "B") in the column ``name``, such as model or fps; None if there is none."""
        for spelling in SPELLINGS:
            value = self.columns.get(spelling.format(name=name, side=side))
            if value not in (None, ""):
                return value
        return None

    def groups(self, name: str) -> set[str]:
        """Values of the column ``name`` for this pair: the pair's, or those of its two sides."""
        cell = self.columns.get(name)
        values = [cell] if cell not in (None, "") else [self.of_side(name, side) for side in SIDES]
        return {str(value) for value in values if value is not None}


def bench_pairs(preferences: Preferences) -> list[BenchPair]:
    """The pairs in the order of the file. A pair without any label says that its chosen clip is better overall."""
    numbers = preferences.rows or range(1, len(preferences) + 1)
    return [_pair(preferences, number, pair) for number, pair in zip(numbers, preferences, strict=True)]


def _pair(preferences: Preferences, number: int, pair: PreferencePair) -> BenchPair:
    where = f"row {pair.source.row}" if pair.source and preferences.format != "native" else f"line {number}"
    pair = pair.in_source_order()
    columns = dict(pair.source.columns) if pair.source else {}
    for side, name in zip(SIDES, ("left_model", "right_model"), strict=True):
        if name in columns:
            columns[f"{side}_model"] = columns.pop(name)
    paths = (pair.chosen, pair.rejected)
    fps = pair.fps if pair.source is None else None
    clips = [BenchClip(Path(os.path.abspath(table_path(preferences.root, path))), pair.prompt, fps) for path in paths]
    return BenchPair(where, pair.prompt, pair.labels or {"Overall": "A"}, *clips, paths, columns)


def clip_rows(pairs: Iterable[BenchPair]) -> dict[BenchClip, ScoreRow]:
    """The distinct clips as rows to score, by path, so that the prompts of a clip follow each other."""
    spelled: dict[BenchClip, str] = {}
    for pair in pairs:
        for clip, path in zip(pair.clips, pair.paths, strict=True):
            spelled.setdefault(clip, path)
    counter: Counter[str] = Counter()
    rows = {}
    for clip in sorted(spelled, key=lambda clip: (str(clip.file), clip.fps or 0)):  # stable: prompts as they come
        counter[spelled[clip]] += 1
        rows[clip] = ScoreRow(f"{spelled[clip]}#{counter[spelled[clip]]}", clip.file, clip.prompt, clip.fps)
    return rows


def missing_clips(pairs: Iterable[BenchPair]) -> list[str]:
    """Where the file names a clip that is not there, as "row 3, A: videos/x.mp4".

    Raises:
        VideoAlignError: not a single clip is there.
    """
    exists: dict[Path, bool] = {}
    missing = []
    for pair in pairs:
        for side, clip, path in zip(SIDES, pair.clips, pair.paths, strict=True):
            if clip.file not in exists:
                exists[clip.file] = os.path.isfile(clip.file)
            if not exists[clip.file]:
                missing.append(f"{pair.where}, {side}: {path}")
    if exists and not any(exists.values()):
        raise VideoAlignError(
            f"None of the {len(exists)} clips is there; the first one would be {next(iter(exists))} ({missing[0]}). "
            "Give the folder that the paths start from with --videos."
        )
    return missing
