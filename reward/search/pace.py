"""How long a search takes, reckoned from its first take."""

from __future__ import annotations

from dataclasses import dataclass

from .plan import Plan


@dataclass(frozen=True)
class Pace:
    """What was measured.

    Attributes:
        step: seconds of a step of one take, or of a model evaluation: the unit that work is counted in.
        look: seconds of decoding and judging one take.
    """

    step: float
    look: float

    def seconds(self, plan: Plan, seeds: int, work: int) -> float:
        """Of a plan for so many seeds with so much work, finished clips included, their decoding not."""
        alive = [seeds, *(kept for _, kept in plan)][: len(plan)]
        return self.step * work + self.look * sum(alive)
