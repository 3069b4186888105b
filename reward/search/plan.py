"""When takes are looked at, how many are kept then, and what that costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...errors import VideoAlignError

Plan = Sequence[tuple[int, int]]
"""(step, how many takes are kept after it) of each look, ascending by step."""


def checked_looks(looks: Sequence[int], steps: int, option: str = "--look") -> list[int]:
    """The steps after which takes are looked at, ascending; a quarter of all where none is given.

    Args:
        option: what the user gave them by, for the message.

    Raises:
        VideoAlignError: there are not so many steps.
    """
    chosen = sorted(set(looks)) or [max(1, round(steps / 4))]
    if not 1 <= chosen[0] <= chosen[-1] <= steps:
        raise VideoAlignError(
            f"{option} {', '.join(map(str, chosen))}: the clips are sampled in {steps} steps; look after 1 to {steps} of them."
        )
    return chosen


def schedule(looks: Sequence[int], seeds: int, keep: int) -> list[tuple[int, int]]:
    """The plan of these looks: from ``seeds`` to ``keep`` by the same share each time.

    Args:
        looks: steps, ascending.
    """
    return [
        (step, max(keep, round(seeds * (keep / seeds) ** ((index + 1) / len(looks)))))
        for index, step in enumerate(looks)
    ]


def cost(looks: Plan, seeds: int, steps: int) -> int:
    """Steps in all where takes go on from where they were stopped: every take to the first look, those that are kept to the next,
    the last ones to the end.
    """
    total, alive, before = 0, seeds, 0
    for step, kept in [*looks, (steps, 0)]:
        total += alive * (step - before)
        alive, before = kept, step
    return total


def replayed_cost(looks: Plan, seeds: int, steps: int, evaluations: Callable[[int], int] = int) -> int:
    """Evaluations in all where takes are sampled anew after each look, as replay does; one that was sampled to its end is done.

    Args:
        evaluations: of the network, by the steps that a take is sampled for; a step is one by default.
    """
    total, alive = 0, seeds
    for step, kept in looks:
        total += alive * evaluations(step)
        alive = kept
    return total + (0 if looks[-1][0] == steps else alive * evaluations(steps))


def affordable(
    looks: Sequence[int], seeds: int, keep: int, budget: float | None, work: Callable[[Plan, int], float], refusal: str
) -> int:
    """How many seeds can be drafted within a budget, at most ``seeds``.

    Args:
        budget: in the unit of ``work``; None for no limit.
        work: of a plan and a number of seeds.
        refusal: what to say where not even as many as are kept can be finished.

    Raises:
        VideoAlignError: with ``refusal``.
    """
    if budget is None:
        return seeds
    for count in range(seeds, keep - 1, -1):
        if work(schedule(looks, count, keep), count) <= budget:
            return count
    raise VideoAlignError(refusal)
