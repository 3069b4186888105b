"""Whether the reward of two sets of clips was hacked, from the marks that a panel gave them. Nothing here imports ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import VideoAlignError
from ..reward.judge import Dimension
from .scored_clip import ScoredClip

MEASURES = "measures"
Pair = tuple[ScoredClip, ScoredClip]


def verdict_on(pairs: Sequence[Pair], names: tuple[str, str]) -> dict | None:
    """The guard's verdict (``reward.guard``) on the second clips of pairs; the panel's first judge is the reward, the others watch.

    Args:
        pairs: marked clips.
        names: of the two sets.

    Returns:
        outcome, "gained", "hacked", "lost" or "too few to tell", and sentence, in words; None without a panel.
    """
    seats = _seats(pairs)
    if len(seats) < 2:
        return None
    from ..reward.guard.comparing import Witness, verdict_of

    first, *others = seats
    whole = [pair for pair in pairs if all(_marked(clip, seats[first]) for clip in pair)]
    if not whole:
        return None
    left_out = (
        f" ({len(pairs) - len(whole)} of {len(pairs)} pairs lack the reward's marks.)"
        if len(whole) < len(pairs)
        else ""
    )
    silent = []

    def witness(seat: str, own_names: bool) -> Witness | None:
        shown = seats[seat]
        if not all(_marked(clip, shown) for pair in whole for clip in pair):
            silent.append(seat)
            return None
        prefix = f"{seat}." if own_names else ""
        rows = [[_row(pair[side], prefix) for pair in whole] for side in range(2)]
        named = {one.name.removeprefix(prefix): one for one in shown}
        overall = "Overall" if "Overall" in named else None
        dimensions = [_renamed(one, prefix) for one in shown if one.name.removeprefix(prefix) != overall]
        if overall:
            dimensions.append(_renamed(named[overall], prefix))
        return Witness("the reward" if seat == first else seat, dimensions, *rows, overall)

    reward = witness(first, not _is_bare(first, seats))
    watching = [one for seat in others if seat != MEASURES and (one := witness(seat, True))]
    measured = witness(MEASURES, True) if MEASURES in others else None
    if measured is None and not watching:
        return None
    try:
        verdict = verdict_of(reward, watching, measured, [base.prompt or other.prompt or "" for base, other in whole])
    except VideoAlignError as error:  # measurements of a file that has not all of them
        return {"outcome": "", "sentence": f"No verdict on {names[1]}: {error}"}
    missing = f" Not asked, since not all clips have their marks: {', '.join(silent)}." if silent else ""
    return {"outcome": verdict.outcome.value, "sentence": f"{verdict.sentence}{left_out}{missing}"}


def _seats(pairs: Sequence[Pair]) -> dict[str, list[Dimension]]:
    """The panel's judges with their dimensions, all of which someone has a mark of, if all clips have one panel."""
    judges = {clip.judge for pair in pairs for clip in pair}
    if len(judges) != 1 or "+" not in (judge := judges.pop()):
        return {}
    names = judge.split("+")
    seats: dict[str, list[Dimension]] = {name: [] for name in names}
    for one in pairs[0][0].all_dimensions:
        if any(clip.score(one.name) is not None for pair in pairs for clip in pair):
            seats.setdefault(one.name.rpartition(".")[0] or names[0], []).append(one)
    return {name: dimensions for name, dimensions in seats.items() if dimensions}


def _is_bare(seat: str, seats: Mapping[str, Sequence[Dimension]]) -> bool:
    return not any(one.name.startswith(f"{seat}.") for one in seats[seat])


def _marked(clip: ScoredClip, dimensions: Sequence[Dimension]) -> bool:
    return all(clip.score(one.name) is not None for one in dimensions)


def _row(clip: ScoredClip, prefix: str) -> dict[str, float]:
    """Marks and details of one judge under its own names for them."""
    known = {**clip.scores, **clip.details}
    return {
        name.removeprefix(prefix): mark for name, mark in known.items() if mark is not None and name.startswith(prefix)
    }


def _renamed(dimension: Dimension, prefix: str) -> Dimension:
    from dataclasses import replace

    return replace(dimension, name=dimension.name.removeprefix(prefix))
