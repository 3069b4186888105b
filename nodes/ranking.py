"""Which clip is the best one, and why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import VideoAlignError
from ..reward.judge import Dimension
from ..reward.score_columns import is_panel
from ..reward.weights import RewardWeights
from .ranked_clip import Gates, RankedClip
from .ranking_rules import RankingRules
from .scored_clip import ScoredClip, comparability_notes
from .z_ranking import places_by_z


@dataclass(frozen=True)
class Ranking:
    """All candidates, best first, those that a gate rejected last.

    Attributes:
        order: the candidates.
        weights: the weights that were used, by dimension; they add up to 1.
        top_k: how many of the best are chosen.
        by_z: whether the totals are of z-scores among the candidates.
        notes: sentences that a user should read before believing the ranking.
        picked: the clip that a person has chosen in place of the winner, if any.
    """

    order: tuple[RankedClip, ...]
    weights: dict[str, float]
    top_k: int
    notes: tuple[str, ...]
    picked: RankedClip | None = None
    by_z: bool = False

    @property
    def chosen(self) -> tuple[RankedClip, ...]:
        """The person's choice, if any, and the best others that passed all gates, best first; ``top_k`` together."""
        first = () if self.picked is None else (self.picked,)
        others = tuple(row for row in self.order if row.rank is not None and row is not self.picked)
        return (first + others)[: self.top_k]

    @property
    def rejected(self) -> tuple[RankedClip, ...]:
        """All others, best first."""
        chosen = self.chosen
        return tuple(row for row in self.order if all(row is not one for one in chosen))

    def why_none(self) -> str:
        """What to tell a user when no candidate passed the gates."""
        nearest = self.order[0]
        return (
            f"None of the {len(self.order)} clips passes the gates. The nearest is {nearest.clip.name}: "
            f"{'; '.join(nearest.gate_failures)}. Lower the gates, or make more clips."
        )


def rank(
    clips: Sequence[ScoredClip],
    weights: RewardWeights,
    gates: Gates | None = None,
    top_k: int = 1,
    use_this: str = "",
    rules: RankingRules | None = None,
) -> Ranking:
    """Rank clips by the weighted mean of their normalised scores; equal ones keep their order.

    With ``rules``, and where the weighted marks have not all one unit, z-scores among the candidates take the scores' place.

    Where a clip lacks a mark (TA without a caption), all are ranked by the other dimensions, whose weights are divided by
    the sum of these, and a note says so. A judge of which no dimension has a weight is asked for all of them alike.

    Args:
        use_this: the clip that a person has chosen, as ``choice_of`` writes it, or its number alone; empty for the best. A
            clip that is not there any more is told by a note.

    Raises:
        VideoAlignError: there are no clips, ``top_k`` is below 1, judges differ in what they mark, all weight is on a score that is missing, or a gate asks
            for one.
    """
    if not clips:
        raise VideoAlignError("There are no clips to choose from. Connect the scores of at least one Score Video.")
    if top_k < 1:
        raise VideoAlignError(f"top_k is {top_k}; choose at least 1.")
    gates = gates or Gates()
    notes = comparability_notes(list(clips))
    dimensions = _dimensions_of_all(clips)
    if rules is not None or _needs_z(clips, weights, dimensions):
        order, shares, said = places_by_z(clips, weights, gates, rules or RankingRules())
        order = [replace(row, rank=None if row.gate_failures else number) for number, row in enumerate(order, start=1)]
        return _ranking(order, shares, top_k, [*said, *notes, *_notes_of(clips)], use_this, by_z=True)
    if any(is_panel(clip.judge) for clip in clips):  # the other judges' marks are not asked
        dimensions = tuple(one for one in dimensions if one.name in weights.values) or dimensions
    names = [one.name for one in dimensions if all(clip.score(one.name) is not None for clip in clips)]
    missing = [one.name for one in dimensions if one.name not in names]
    # A judge that knows none of the weighted dimensions is asked for all of its dimensions alike.
    used = (
        weights if any(name in weights.values for name in names + missing) else RewardWeights(dict.fromkeys(names, 1.0))
    )
    weighted = [name for name in missing if used.as_given(missing)[name]]
    if weighted:
        if not any(used.as_given(names).values()):
            raise VideoAlignError(
                f"All the weight is on {', '.join(weighted)}, which these clips have no score for: {', '.join(weighted)} needs a "
                f"caption. Give Score Video a caption, or give {' or '.join(names)} some weight."
            )
        without = sum(any(clip.score(name) is None for name in missing) for clip in clips)
        who = "No clip has a caption" if without == len(clips) else f"{without} of {len(clips)} clips have no caption"
        notes.insert(0, f"{who}: ranked by {' and '.join(names)} alone.")
    notes += _notes_of(clips)
    shares = used.normalised(names)
    merit = {one.name: one.merit for one in dimensions}
    rows = []
    for index, clip in enumerate(clips):
        parts = {name: share * merit[name](clip.scores[name]) for name, share in shares.items()}
        failed = gates.failed(clip)
        rows.append((bool(failed), -sum(parts.values()), index, RankedClip(clip, index, 0.0, None, failed, parts)))
    order = []
    for number, (rejected, negative, _, row) in enumerate(sorted(rows, key=lambda row: row[:3]), start=1):
        order.append(replace(row, total=-negative, rank=None if rejected else number))
    return _ranking(order, shares, top_k, notes, use_this)


def _ranking(
    order: Sequence[RankedClip],
    shares: dict[str, float],
    top_k: int,
    notes: Sequence[str],
    use_this: str,
    by_z: bool = False,
) -> Ranking:
    order = [replace(row, why=_why(row, order)) for row in order]
    picked, complaint = picked_of(order, use_this)
    return Ranking(tuple(order), shares, top_k, tuple([*complaint, *notes]), picked, by_z)


def _needs_z(clips: Sequence[ScoredClip], weights: RewardWeights, dimensions: Sequence[Dimension]) -> bool:
    """Whether the marks that count are of several units, or a judge has refused a clip some of them."""
    counted = [one for one in dimensions if weights.values.get(one.name)] or list(dimensions)
    if any(clip.score(one.name) is None and clip.refusal(one.name) for clip in clips for one in counted):
        return True
    panel = any(is_panel(clip.judge) for clip in clips)
    return len({(one.unit, one.name.rpartition(".")[0] if panel else "") for one in counted}) > 1


def _notes_of(clips: Sequence[ScoredClip]) -> list[str]:
    """What is special about single clips, each sentence once however many clips it is about."""
    about: dict[str, list[str]] = {}
    for clip in clips:
        for note in clip.notes:
            about.setdefault(note, []).append(clip.name)
    return [f"{_named(names, len(clips))}: {note}." for note, names in about.items()]


def _named(names: list[str], of: int) -> str:
    if len(names) <= 2:
        return " and ".join(names)
    if len(names) == of:
        return f"All {of} clips"
    return f"{len(names)} of {of} clips ({', '.join(names[:2])}, \N{HORIZONTAL ELLIPSIS})"


def choice_of(row: RankedClip) -> str:
    """What ``use_this`` holds for a person's choice: number and digest, so that another clip in its place is noticed."""
    return f"{row.index + 1} {row.clip.digest}"


def picked_of(order: Sequence[RankedClip], use_this: str) -> tuple[RankedClip | None, list[str]]:
    """The clip that a person has chosen, and a sentence if it is not there.

    Args:
        use_this: see ``choice_of``.

    Raises:
        VideoAlignError: ``use_this`` is of another form.
    """
    if not use_this.strip():
        return None, []
    found = re.fullmatch(r"\s*(\d{1,6})(?:\s+([0-9a-f]{8}))?\s*", use_this)
    if not found:
        raise VideoAlignError(
            f"use_this is {use_this!r}; give a candidate's number, or leave it empty for the best clip."
        )
    number, digest = int(found[1]), found[2]
    alike = [row for row in order if row.clip.digest == digest] if digest else []
    if alike:  # the same clip may stand twice
        return min(alike, key=lambda row: abs(row.index + 1 - number)), []
    if digest is None and 1 <= number <= len(order):
        return next(row for row in order if row.index + 1 == number), []
    why = "is another clip now" if digest and number <= len(order) else f"is not one of the {len(order)}"
    return None, [
        f"Your choice is not used: candidate {number} {why}. Ranked by the scores; choose again, or clear use_this."
    ]


def _why(row: RankedClip, order: Sequence[RankedClip]) -> str:
    """Where a clip gains and loses against the winner, the winner against the next."""
    if len(order) < 2:
        return "the only candidate"
    best = row is order[0]
    other = order[1] if best else order[0]
    if row.total is None or other.total is None:  # one is out of the comparison
        return "" if row.gate_failures else "the only candidate that is not out"
    parts = {name: row.parts[name] - other.parts[name] for name in row.parts}
    told = [f"{name} {_change(part)}" for name, part in sorted(parts.items(), key=lambda item: -abs(item[1]))]
    difference = row.total - other.total
    if abs(difference) < 0.005:
        return f"as good as #{2 if best else 1}: {', '.join(told)}"
    who = "#2" if best else "#1"
    return f"{abs(difference):.2f} {'above' if difference > 0 else 'below'} {who}: {', '.join(told)}"


def _change(value: float) -> str:
    """With its sign, unless two decimals show nothing."""
    return f"{value:+.2f}" if round(value, 2) else "0.00"


def _dimensions_of_all(clips: Sequence[ScoredClip]) -> tuple[Dimension, ...]:
    """What all clips are marked for.

    Raises:
        VideoAlignError: they were judged by judges that have nothing in common.
    """
    shared = [one for one in clips[0].dimensions if all(one.name in clip.scores for clip in clips)]
    if not shared:
        judges = ", ".join(sorted({clip.judge for clip in clips}))
        raise VideoAlignError(
            f"The clips were judged by {judges}, which mark nothing alike. Rank each judge's by themselves."
        )
    return tuple(shared)
