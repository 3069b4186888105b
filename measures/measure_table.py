"""The table that ``videoalign measure`` prints: measurements below each other, clips side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from .clip_measures import DETAILS, DIMENSIONS, clip_details, clip_marks
from .trace import ClipTrace

SIDE_BY_SIDE = 4
_WIDTH = 14


def measure_table(clips: Sequence[tuple[str, ClipTrace]]) -> str:
    """A table of clips (path, trace), four beside each other, about 130 characters wide."""
    meanings = {
        **{one.name: (f"{one.meaning}: {one.unit}", "+" if one.higher_is_better else "-") for one in DIMENSIONS},
        **{name: (f"{meaning}: {unit}", " ") for name, (meaning, unit) in DETAILS.items()},
    }
    values = [(path, {**clip_marks(trace), **clip_details(trace)}) for path, trace in clips]
    names = max(map(len, meanings))
    lines = []
    for start in range(0, len(values), SIDE_BY_SIDE):
        shown = values[start : start + SIDE_BY_SIDE]
        heads = "".join(f"{_short(path):>{_WIDTH}}" for path, _ in shown)
        lines += [f"{'':{names + 2}}{heads}", "-" * (names + 2 + _WIDTH * len(shown))]
        for name, (meaning, direction) in meanings.items():
            cells = "".join(f"{marks[name]:>{_WIDTH}.4g}" for _, marks in shown)
            lines.append(f"{direction} {name:<{names}}{cells}  {meaning}")
        lines.append("")
    return "\n".join([*lines, "+ more is better, - less is better, else it only describes the clip."])


def _short(path: str) -> str:
    name = PurePath(path).name
    return name if len(name) < _WIDTH - 1 else "…" + name[-(_WIDTH - 3) :]
