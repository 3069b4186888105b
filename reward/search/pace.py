"""How long a search takes, reckoned from its first take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .plan import Plan, affordable, schedule


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

    def affordable(
        self, looks: Sequence[int], seeds: int, keep: int, limit: float, work: Callable[[Plan, int], int],
        refusal: Callable[[float], str],
    ) -> int:  # fmt: skip
        """How many seeds can be drafted in ``limit`` seconds, at most ``seeds``; see ``plan.affordable``.

        Args:
            work: of a plan and a number of seeds.
            refusal: what to say where not even as many as are kept can be finished, given the seconds that these would take.

        Raises:
            VideoAlignError: with ``refusal``.
        """

        def seconds(plan: Plan, count: int) -> float:
            return self.seconds(plan, count, work(plan, count))

        least = seconds(schedule(looks, keep, keep), keep)
        return affordable(looks, seeds, keep, limit, seconds, refusal(least))
