"""Dynamic degree: whether, and how much, a clip moves. VBench's decision (arXiv 2311.17982), and a graded one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SAMPLED_FPS = 8
THRESHOLD = 6 / 256
"""A pair of sampled frames moves if the fastest 5 % of its flow is faster on average, in shorter sides of the picture."""


def sampled_indices(total: int, fps: float) -> list[int]:
    """The frames between which motion is measured: every n-th from the first, n = fps / 8 rounded, as in VBench.

    A clip that is shorter than two of them is looked at from its first frame to its last.
    """
    indices = list(range(0, total, max(round(fps / SAMPLED_FPS), 1)))
    return indices if len(indices) > 1 else sorted({0, total - 1})


def is_dynamic(fastest: Sequence[float]) -> bool:
    """VBench's decision: whether at least round(4 n / 16) of the pairs of n sampled frames move, and at least one.

    VBench itself says yes to every clip of two sampled frames, of which it asks for no moving pair at all.

    Args:
        fastest: of each pair (``flow.Motion.fastest``), in shorter sides.
    """
    needed = max(round(4 * (len(fastest) + 1) / 16), 1)
    return sum(one > THRESHOLD for one in fastest) >= needed


def degree(fastest: Sequence[float]) -> float:
    """The graded one: mean over the pairs of speed / threshold, each at most 1. From 0, nothing moves, to 1, all pairs do."""
    return float(np.minimum(np.asarray(fastest) / THRESHOLD, 1).mean())
