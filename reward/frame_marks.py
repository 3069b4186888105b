"""Judges of single pictures, put to the frames of a clip: which frames they see, and what a clip's mark is."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .frame_sampling import frame_indices
from .settings import FrameSampling

BEST_SHARE = 0.3
"""Of the frames, for the mark of a clip's best frames."""


def spread_frames(total: int, fps: float, sampling: FrameSampling) -> list[int]:
    """Frames evenly spread over a clip, its first and last among them; a single picture is a clip of one frame.

    Args:
        total: frames of the clip, >= 1.
        fps: of the clip, in frames per second.
        sampling: ``fps`` times the clip's seconds, between ``min_frames`` and ``max_frames``; or ``num_frames``.
    """
    wanted = sampling.num_frames
    if wanted is None:
        wanted = min(max(total / fps * sampling.fps, sampling.min_frames), sampling.max_frames)
    return frame_indices(total, min(max(round(wanted), 1), total))


def best_mean(marks: Sequence[float], share: float = BEST_SHARE) -> float:
    """Mean of the highest ``share`` of the marks, rounded up to whole frames."""
    best = sorted(marks, reverse=True)[: max(math.ceil(share * len(marks) - 1e-9), 1)]
    return sum(best) / len(best)
