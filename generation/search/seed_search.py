"""The search over a prompt's seeds: draft, judge, drop, go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...errors import VideoAlignError
from ...reward.gates import Gate
from ...reward.ranking import standings
from ...reward.weights import RewardWeights
from .judging import Marks, TakeJudge
from .takes import PromptTakes, Take


@dataclass(frozen=True)
class Rule:
    """How takes are ranked, by marks among those of their prompt.

    Attributes:
        weights: of the marks, whose z-scores are added.
        gates: vetoes.
        enough: a take that passes all of these ends the drafting; none where empty.
    """

    weights: RewardWeights
    gates: tuple[Gate, ...] = ()
    enough: tuple[Gate, ...] = ()

    def is_enough(self, marks: Marks) -> bool:
        """Whether a take is so good that no other need be drafted."""
        return bool(self.enough) and not any(gate.failure(marks) for gate in (*self.enough, *self.gates))


@dataclass
class Look:
    """What was seen of a take at a step.

    Attributes:
        seed, step: which take, after how many steps.
        marks: the judge's; empty where it could not judge it.
        total: weighted z-score among the takes that were looked at then; None for one that is out.
        out: why it is out.
        kept: whether it went on.
    """

    seed: int
    step: int
    marks: Marks
    total: float | None = None
    out: tuple[str, ...] = ()
    kept: bool = False


@dataclass
class Found:
    """What came of a prompt.

    Attributes:
        looks: in the order in which they were taken.
        best: seeds that are to be finished, the best first; empty where no take passed the gates.
        ended_early: whether a take was good enough.
    """

    looks: list[Look] = field(default_factory=list)
    best: list[int] = field(default_factory=list)
    ended_early: bool = False


Known = Callable[[int, int], Marks | None]
"""(seed, step) -> marks of an earlier run, or None."""
Seen = Callable[[Look, np.ndarray | None], None]
"""Told of each look that was taken now, with the frames that were seen."""


def search_seeds(
    takes: PromptTakes,
    prompt: str,
    seeds: Sequence[int],
    looks: Sequence[tuple[int, int]],
    judge: TakeJudge,
    rule: Rule,
    known: Known = lambda seed, step: None,
    seen: Seen = lambda look, frames: None,
) -> tuple[Found, Mapping[int, Take]]:
    """Draft every seed, keep the best after each look.

    Args:
        looks: (step, how many are kept after it), as ``schedule`` gives them.

    Returns:
        what was found, and the takes of the best that were sampled now, at their last look, to go on with. Takes that were known from
        an earlier run are not among them: they are sampled anew.
    """
    found, alive, held = Found(), list(seeds), {}
    for number, (step, keep) in enumerate(looks):
        row: list[Look] = []
        for seed in alive:
            look = Look(seed, step, known(seed, step) or {})
            if not look.marks:
                take = held.get(seed) or takes.begin(seed)
                try:
                    look.marks, frames = judge.marks(take.go(step), prompt)
                    seen(look, frames)
                    held[seed] = take
                except VideoAlignError as error:
                    look.out = (str(error),)
            row.append(look)
            if number == 0 and not look.out and rule.is_enough(look.marks):
                found.ended_early = True
                break
        found.looks += row
        ranked = _ranked(row, rule, judge)
        best = [row[-1]] if found.ended_early else ranked[:keep]
        for look in best:
            look.kept = True
        alive = [look.seed for look in best]
        held = {seed: take for seed, take in held.items() if seed in alive}
        if not alive or found.ended_early:
            break
    found.best = alive
    return found, held


def _ranked(row: Sequence[Look], rule: Rule, judge: TakeJudge) -> list[Look]:
    judged = [look for look in row if not look.out]
    ranks = standings([look.marks for look in judged], rule.weights, rule.gates, judge.lower_is_better)
    for look, standing in zip(judged, ranks, strict=True):
        look.total, look.out = standing.total, standing.out
    return sorted((look for look in judged if look.total is not None), key=lambda look: -look.total)
