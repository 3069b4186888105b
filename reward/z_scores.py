"""Numbers of different units made one: weighted sums of z-scores, and the best share by them.

A z-score is (value - mean) / standard deviation over the clips that are compared, which are those of one prompt or all.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

_EQUAL = 1e-12
"""Of the values' size: a spread below it is rounding, and all are equal."""


def z_scores(values: Sequence[float]) -> list[float]:
    """Of each value, with the population's standard deviation; all 0 where the values are equal, up to rounding."""
    if not values:
        return []
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    if deviation <= _EQUAL * max(map(abs, values)):
        return [0.0] * len(values)
    return [(value - mean) / deviation for value in values]


def weighted_z(rows: Sequence[Mapping[str, float]], weights: Mapping[str, float]) -> list[float]:
    """The weighted sum of z-scores of each row, over all of ``rows``.

    Args:
        rows: values by column; each has those of ``weights``.
        weights: by column; a negative one prefers small values.
    """
    totals = [0.0] * len(rows)
    for name, weight in weights.items():
        for index, z in enumerate(z_scores([row[name] for row in rows])):
            totals[index] += weight * z
    return totals


def weighted_z_within(
    rows: Sequence[Mapping[str, float]], weights: Mapping[str, float], groups: Sequence[Hashable]
) -> list[float]:
    """As ``weighted_z``, with means and deviations of each group by itself.

    Args:
        groups: of each row, such as its prompt.
    """
    totals = [0.0] * len(rows)
    for members in _members(groups):
        for index, total in zip(members, weighted_z([rows[index] for index in members], weights), strict=True):
            totals[index] = total
    return totals


def best_share(totals: Sequence[float], share: float, groups: Sequence[Hashable]) -> set[int]:
    """Indices of the best of each group: ``share`` of its members, rounded half up, one at least; equal ones in their order.

    Args:
        totals: more is better.
        share: above 0, up to 1.
    """
    chosen: set[int] = set()
    for members in _members(groups):
        count = max(1, math.floor(share * len(members) + 0.5 + 1e-9))  # 0.3 * 5 is 1.5, also in binary
        chosen.update(sorted(members, key=lambda index: -totals[index])[:count])
    return chosen


def _members(groups: Sequence[Hashable]) -> list[list[int]]:
    found: dict[Hashable, list[int]] = {}
    for index, group in enumerate(groups):
        found.setdefault(group, []).append(index)
    return list(found.values())
