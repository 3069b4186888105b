"""The gate against hacking among the candidates of one prompt: whose measurements are clearly worse than the others'.

Choosing the best of many by a reward is optimising it: the more candidates, the likelier the winner pleases the reward by a fault that the
reward does not see, such as standing still. Measurements see such faults. A candidate is out where a measurement of it is worse than
the median of all by more than both of these, each ``times`` over:

- the candidates' own spread (median absolute deviation, scaled to a standard deviation): seeds differ, and that is no fault;
- the smallest difference of interest of ``watched.MEASURES``: where all are nearly equal, every difference would be many spreads.

The median and its deviation, not mean and standard deviation, since the very candidate that is looked for would move these. So at most
half of the candidates can be out for one measurement. Only a fall counts: what is better than the median is never out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .watched import MEASURES

TIMES = 3.0
"""Of normal spreads one candidate in a thousand is as far below by chance; but of a few candidates the spread itself is a guess."""
LEAST_CANDIDATES = 4
"""Of three, one that differs always stands against two: there is no spread to speak of."""
_TO_DEVIATION = 1.4826  # the standard deviation of a normal distribution whose median absolute deviation is 1


def clearly_worse(
    candidates: Sequence[Mapping[str, float | None]], times: float = TIMES, prefix: str = ""
) -> list[tuple[str, ...]]:
    """For each candidate a reason for each measurement that is clearly worse than the median; none for fewer than four candidates.

    Args:
        candidates: marks by name, of clips of one prompt, those of the judge ``measures`` among them.
        times: how many spreads and smallest differences of interest are clear.
        prefix: of the measurements' names, such as ``measures.``.
    """
    reasons: list[list[str]] = [[] for _ in candidates]
    for watched in MEASURES:
        name = prefix + watched.name
        given = [
            (place, float(mark)) for place, marks in enumerate(candidates) if (mark := marks.get(name)) is not None
        ]
        if not watched.direction or len(given) < LEAST_CANDIDATES:
            continue
        values = np.array([mark for _, mark in given])
        middle = float(np.median(values))
        spread = _TO_DEVIATION * float(np.median(np.abs(values - middle)))
        edge = times * max(spread, watched.in_unit(watched.least, [middle]))
        for place, mark in given:
            if watched.direction * (middle - mark) > edge:
                reasons[place].append(
                    f"{watched.title} is {mark:.3g}, clearly worse than the candidates' median {middle:.3g} (by more than {edge:.2g})"
                )
    return [tuple(some) for some in reasons]
