"""What the marks of a score file mean, where its judge is known: a file says their names only. Nothing here imports ComfyUI."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ..reward.dimensions import MEANING, VIDEO_REWARD_DIMENSIONS, VIDEO_REWARD_OVERALL
from ..reward.judge import FIRST_JUDGE, Dimension
from ..reward.score_columns import is_panel


def meaning_of(judge: str, names: Sequence[str], lower: Collection[str]) -> tuple[Dimension, ...]:
    """A dimension for each mark, in the order of the names.

    Args:
        judge: as the file names it, several with a plus between.
        names: of the marks.
        lower: those of which the file says that less is better.
    """
    return tuple(_known(judge, name) or _by_name(name, lower) for name in names)


def detail_names(judge: str, names: Sequence[str]) -> list[str]:
    """Those of the names that are no marks: of them neither more nor less is better."""
    return [name for name in names if _own(judge, name)[1] in _tables(_own(judge, name)[0])[1]]


def _by_name(name: str, lower: Collection[str]) -> Dimension:
    return Dimension(name, MEANING.get(name, name), "", higher_is_better=name not in lower)


def _known(judge: str, name: str) -> Dimension | None:
    from dataclasses import replace

    seat, own = _own(judge, name)
    found = _tables(seat)[0].get(own)
    return None if found is None else replace(found, name=name)


def _own(judge: str, name: str) -> tuple[str, str]:
    """Which judge gave a mark, and its own name for it; without the number of a second one of its kind."""
    prefix, _, own = name.rpartition(".") if is_panel(judge) else ("", "", name)
    return re.sub(r"-\d+$", "", prefix or judge.partition("+")[0]), own


def _tables(seat: str) -> tuple[dict[str, Dimension], Collection[str]]:
    """A judge's dimensions by name, and the names of its details."""
    if seat == FIRST_JUDGE:
        return {one.name: one for one in (*VIDEO_REWARD_DIMENSIONS, VIDEO_REWARD_OVERALL)}, ()
    if seat == "measures":
        from ..measures.clip_measures import DETAILS, DIMENSIONS

        return {one.name: one for one in DIMENSIONS}, DETAILS
    return {}, ()
