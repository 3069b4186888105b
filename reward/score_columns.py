"""Which columns of a score file hold marks: of any judge or panel, whoever wrote it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..files.tables import Row
from .dimensions import RATED
from .judge import FIRST_JUDGE

ABOUT = frozenset(
    (
        "time",
        "id",
        "prompt",
        "seed",
        "model",
        "total_frames",
        "fps",
        "path",
        "judge",
        "error",
        "height",
        "width",
        "notes",
    )
)
"""Columns about the clip and the row."""
LOWER = "lower_is_better"
"""Column of the names of those marks of which less is better: a panel's rows have it, whose readers know no judge."""


def is_panel(judge: str | None) -> bool:
    """Whether a row's ``judge`` names several (``reward.panel``)."""
    return judge is not None and "+" in judge


def mark_names(cells: Mapping[str, Any], judge: str | None) -> list[str]:
    """Names of the marks that a row has, a number in each.

    VideoReward's are known; a panel's have VideoReward's names or a judge's in front; of another judge they are the
    numbers that are nothing else.

    Args:
        judge: as the row names it; None is VideoReward, as 0.1.0 wrote.
    """
    named = [name for name, value in cells.items() if _may_be_mark(name) and _is_number(value)]
    if judge in (None, FIRST_JUDGE):
        return [name for name in named if name in RATED]
    if is_panel(judge):
        return [name for name in named if name in RATED or "." in name]
    return named


def lower_is_better(cells: Mapping[str, Any]) -> frozenset[str]:
    """What a row says of its marks' direction: a list (JSON), or names with spaces between them (CSV)."""
    value = cells.get(LOWER)
    names = value.split() if isinstance(value, str) else value if isinstance(value, list) else ()
    return frozenset(map(str, names))


def reasons_of(row: Row) -> dict[str, str]:
    """Why a row's marks are what they are, by mark: an object ``reasons`` (JSON), or columns ``NAME_reason``."""
    reasons = row.cells.get("reasons")
    if isinstance(reasons, dict):
        return {str(name): str(text) for name, text in reasons.items()}
    names = [name for name in row.cells if name.endswith("_reason") and row.has(name)]
    return {name.removesuffix("_reason"): str(row.cells[name]) for name in names}


def _may_be_mark(name: str) -> bool:
    own = name.rpartition(".")[2]
    return own not in ABOUT and not own.endswith(("_raw", "_reason"))


def _is_number(value: object) -> bool:
    try:
        return not isinstance(value, bool) and math.isfinite(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False
