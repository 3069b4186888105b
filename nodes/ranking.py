"""Which clip is the best one, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import VideoAlignError
from .reward_weights import RewardWeights
from .scored_clip import DIMENSIONS, SIGMA, ScoredClip, comparability_notes

# A gate at this value (in sigma) or below lets everything pass.
GATE_OFF = -10.0


@dataclass(frozen=True)
class Gates:
    """Lowest score, in sigma, that a clip must reach in each dimension; ``GATE_OFF`` asks for nothing."""

    VQ: float = GATE_OFF
    MQ: float = GATE_OFF
    TA: float = GATE_OFF

    def failed(self, clip: ScoredClip) -> tuple[str, ...]:
        """A reason for each gate that the clip does not pass.

        Raises:
            VideoAlignError: a gate asks for a score that the clip does not have.
        """
        reasons = []
        for name in DIMENSIONS:
            lowest, score = getattr(self, name), getattr(clip, name)
            if lowest <= GATE_OFF:
                continue
            if score is None:
                raise VideoAlignError(
                    f"The gate min_{name} is {lowest:+.2f} {SIGMA}, but {clip.name} was scored without a caption and has no {name}. Give "
                    f"Score Video a caption, or set min_{name} to {GATE_OFF:g} (off)."
                )
            if score < lowest:
                reasons.append(f"{name} {score:+.2f} {SIGMA} is below {lowest:+.2f} {SIGMA}")
        return tuple(reasons)


@dataclass(frozen=True)
class RankedClip:
    """A clip's place.

    Attributes:
        clip: it.
        index: its position among the candidates, 0-based.
        total: the weighted mean of its normalised scores, in sigma.
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

    Where a clip has no TA, all are ranked by VQ and MQ, whose weights are divided by their own sum, and a note says so.

    Raises:
        VideoAlignError: there are no clips, ``top_k`` is below 1, all weight is on a score that is missing, or a gate asks
            for one.
    """
    if not clips:
        raise VideoAlignError("There are no clips to choose from. Connect the scores of at least one Score Video.")
    if top_k < 1:
        raise VideoAlignError(f"top_k is {top_k}; choose at least 1.")
    gates = gates or Gates()
    notes = comparability_notes(list(clips))
    without = sum(clip.TA is None for clip in clips)
    dimensions = DIMENSIONS
    if without:
        dimensions = ("VQ", "MQ")
        who = "No clip has a caption" if without == len(clips) else f"{without} of {len(clips)} clips have no caption"
        if weights.TA:
            notes.insert(0, f"{who}: ranked by VQ and MQ alone.")
    shares = weights.normalised(dimensions)
    rows = []
    for index, clip in enumerate(clips):
        total = sum(share * getattr(clip, name) for name, share in shares.items())
        rows.append((bool(failed := gates.failed(clip)), -total, index, failed, clip))
    order = []
    for place, (rejected, negative, index, failed, clip) in enumerate(sorted(rows, key=lambda row: row[:3]), start=1):
        order.append(RankedClip(clip, index, -negative, None if rejected else place, failed))
    return Ranking(tuple(order), shares, top_k, tuple(notes))
