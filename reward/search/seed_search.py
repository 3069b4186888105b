"""The search over a prompt's seeds: draft, judge, drop, go on. Who samples and who judges are protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from ...errors import VideoAlignError
from ..gates import Gate
from ..ranking import standings
from ..weights import RewardWeights
from .plan import Plan

Marks = Mapping[str, float | None]
T = TypeVar("T", bound="Take")
Begun = TypeVar("Begun", bound="Take", covariant=True)
Judged = TypeVar("Judged", bound="Take", contravariant=True)


class Take(Protocol):
    """One seed's sampling, which can be stopped after some steps, looked at, and gone on with."""

    def go(self: T, until: int) -> T:
        """Sample up to so many steps; returns itself."""


class Takes(Protocol[Begun]):
    """What begins takes."""

    def begin(self, seed: int) -> Begun:
        """A take that has not begun."""


class Marking(Protocol[Judged]):
    """Who judges takes at the step that they have reached."""

    def marks(self, take: Judged, prompt: str) -> tuple[Marks, Any]:
        """Marks, and what was seen; None where nothing was made to be seen.

        Raises:
            VideoAlignError: it cannot be judged.
        """


class Order(Protocol):
    """How takes are ranked."""

    def ranked(self, row: Sequence[Look]) -> list[Look]:
        """Those that are not out, the best first; sets ``total`` and ``out`` of each."""

    def is_enough(self, marks: Marks) -> bool:
        """Whether a take is so good that no other need be drafted."""


@dataclass(frozen=True)
class Rule:
    """An order by weighted z-scores among the takes of a prompt; see ``Order``.

    Attributes:
        weights: of the marks, whose z-scores are added.
        gates: vetoes.
        enough: a take that passes all of these ends the drafting; none where empty.
        lower_is_better: names of marks of which less is better.
    """

    weights: RewardWeights
    gates: tuple[Gate, ...] = ()
    enough: tuple[Gate, ...] = ()
    lower_is_better: frozenset[str] = frozenset()

    def is_enough(self, marks: Marks) -> bool:
        """See ``Order``."""
        return passes(marks, self.enough, self.gates)

    def ranked(self, row: Sequence[Look]) -> list[Look]:
        """See ``Order``."""
        judged = [look for look in row if not look.out]
        ranks = standings([look.marks for look in judged], self.weights, self.gates, self.lower_is_better)
        for look, standing in zip(judged, ranks, strict=True):
            look.total, look.out = standing.total, standing.out
        return sorted((look for look in judged if look.total is not None), key=lambda look: -(look.total or 0.0))


def passes(marks: Marks, enough: Sequence[Gate], gates: Sequence[Gate]) -> bool:
    """Whether marks pass all of ``enough``, of which there are some, and no veto of ``gates`` is on them."""
    return bool(enough) and not any(gate.failure(marks) for gate in (*enough, *gates))


@dataclass
class Look:
    """What was seen of a take at a step.

    Attributes:
        seed, step: which take, after how many steps.
        marks: the judge's; empty where it could not judge it.
        total: by which it is ranked, among the takes that were looked at then; None for one that is out.
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
Seen = Callable[[Look, Any], None]
"""Told of each look that was taken now, with what was seen."""


def search_seeds(
    takes: Takes[T],
    prompt: str,
    seeds: Sequence[int],
    looks: Plan,
    judge: Marking[T],
    order: Order,
    known: Known = lambda seed, step: None,
    seen: Seen = lambda look, frames: None,
) -> tuple[Found, Mapping[int, T]]:
    """Draft every seed, keep the best after each look.

    Args:
        looks: (step, how many are kept after it), as ``plan.schedule`` gives them.

    Returns:
        what was found, and the takes of the best that were sampled now, at their last look, to go on with. Takes that were known from
        an earlier run are not among them: they are sampled anew.
    """
    found, alive = Found(), list(seeds)
    held: dict[int, T] = {}
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
            if number == 0 and not look.out and order.is_enough(look.marks):
                found.ended_early = True
                break
        found.looks += row
        ranked = order.ranked(row)
        best = [row[-1]] if found.ended_early else ranked[:keep]
        for look in best:
            look.kept = True
        alive = [look.seed for look in best]
        held = {seed: take for seed, take in held.items() if seed in alive}
        if not alive or found.ended_early:
            break
    found.best = alive
    return found, held
