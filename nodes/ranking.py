"""Which clip is the best one, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import VideoAlignError
from ..reward.judge import Dimension
from ..reward.weights import RewardWeights
from .scored_clip import ScoredClip, comparability_notes

# A gate at this value (in sigma) or below lets everything pass.
GATE_OFF = -10.0


@dataclass(frozen=True)
class Gates:
    """Lowest score that a clip must reach in some dimensions, in their units; ``GATE_OFF`` asks for nothing."""

    lowest: Mapping[str, float] = field(default_factory=dict)

    def failed(self, clip: ScoredClip) -> tuple[str, ...]:
        """A reason for each gate that the clip does not pass.

        Raises:
            VideoAlignError: a gate asks for a score that the clip does not have.
        """
        reasons = []
        for name, lowest in self.lowest.items():
            score = clip.score(name)
            if lowest <= GATE_OFF:
                continue
            if score is None and name not in clip.scores:
                raise VideoAlignError(
                    f"The gate min_{name} is {lowest:+.2f}, but {clip.name} was judged by {clip.judge}, which gives no {name}. Set "
                    f"min_{name} to {GATE_OFF:g} (off)."
                )
            if score is None:
                raise VideoAlignError(
                    f"The gate min_{name} is {_amount(lowest, clip)}, but {clip.name} was scored without a caption and has no {name}. Give "
                    f"Score Video a caption, or set min_{name} to {GATE_OFF:g} (off)."
                )
            if score < lowest:
                reasons.append(f"{name} {_amount(score, clip)} is below {_amount(lowest, clip)}")
        return tuple(reasons)


@dataclass(frozen=True)
class RankedClip:
    """A clip's rank among the candidates.

    Attributes:
        clip: it.
        index: its position among the candidates, 0-based.
        total: the weighted mean of its scores, in their unit; more is better.
        rank: 1 for the winner; None when a gate rejected it.
        gate_failures: why it was rejected, a reason for each gate.
    """

    clip: ScoredClip
    index: int
    total: float
    rank: int | None
    gate_failures: tuple[str, ...]


@dataclass(frozen=True)
class Ranking:
    """All candidates, best first, those that a gate rejected last.

    Attributes:
        order: the candidates.
        weights: the weights that were used, by dimension; they add up to 1.
        top_k: how many of the best are chosen.
        notes: sentences that a user should read before believing the ranking.
    """

    order: tuple[RankedClip, ...]
    weights: dict[str, float]
    top_k: int
    notes: tuple[str, ...]

    @property
    def chosen(self) -> tuple[RankedClip, ...]:
        """The best ``top_k`` that passed all gates, best first."""
        return tuple(row for row in self.order if row.rank is not None)[: self.top_k]

    @property
    def rejected(self) -> tuple[RankedClip, ...]:
        """All others, best first."""
        return self.order[len(self.chosen) :]

    def why_none(self) -> str:
        """What to tell a user when no candidate passed the gates."""
        nearest = self.order[0]
        return (
            f"None of the {len(self.order)} clips passes the gates. The nearest is {nearest.clip.name}: "
            f"{'; '.join(nearest.gate_failures)}. Lower the gates, or make more clips."
        )


def rank(clips: Sequence[ScoredClip], weights: RewardWeights, gates: Gates | None = None, top_k: int = 1) -> Ranking:
    """Rank clips by the weighted mean of their normalised scores; equal ones keep their order.

    Where a clip lacks a mark (TA without a caption), all are ranked by the other dimensions, whose weights are divided by
    the sum of these, and a note says so. A judge of which no dimension has a weight is asked for all of them alike.

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
    notes += [f"{clip.name}: {note}." for clip in clips for note in clip.notes]
    shares = used.normalised(names)
    merit = {one.name: one.merit for one in dimensions}
    rows = []
    for index, clip in enumerate(clips):
        total = sum(share * merit[name](clip.scores[name]) for name, share in shares.items())
        rows.append((bool(failed := gates.failed(clip)), -total, index, failed, clip))
    order = []
    for number, (rejected, negative, index, failed, clip) in enumerate(sorted(rows, key=lambda row: row[:3]), start=1):
        order.append(RankedClip(clip, index, -negative, None if rejected else number, failed))
    return Ranking(tuple(order), shares, top_k, tuple(notes))


def _amount(score: float, clip: ScoredClip) -> str:
    return f"{score:+.2f} {clip.unit}".rstrip()


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
