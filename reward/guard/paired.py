"""Differences between two models' clips of the same prompts and seeds, with intervals that hold for few prompts."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import VideoAlignError
from ..student_interval import prompt_means, student_mean


@dataclass(frozen=True)
class Difference:
    """Of one mark, candidate minus base.

    Attributes:
        mean: over prompts, each of which counts once whatever its number of seeds.
        low, high: Student's interval over prompts.
        base: mean of the base's marks, over prompts.
        won: share of the pairs in which the candidate's mark is higher, ties half.
        prompts: number of prompts.
    """

    mean: float
    low: float
    high: float
    base: float
    won: float
    prompts: int


def paired_difference(
    base: Sequence[float], candidate: Sequence[float], prompts: Sequence[Hashable], confidence: float = 0.95
) -> Difference:
    """The difference of marks of pairs of clips, one of each model, with the same prompt and seed.

    What varies is the prompt: the seeds of a prompt are averaged first, and the interval is over the prompts' means.

    Raises:
        VideoAlignError: no pair, lists of different length, or a mark that does not exist.
    """
    if not len(base) or len(base) != len(candidate) or len(base) != len(prompts):
        raise VideoAlignError(
            f"{len(base)} marks of the base, {len(candidate)} of the candidate, {len(prompts)} prompts; expected as many of each, and one at least."
        )
    first, second = (np.array([np.nan if one is None else one for one in marks], float) for marks in (base, candidate))
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise VideoAlignError("A clip has no mark, or one that is not a number. Score both sets again, with captions.")
    by_prompt = prompt_means(second - first, prompts)
    interval = student_mean(by_prompt, confidence)
    return Difference(
        mean=float(by_prompt.mean()),
        low=interval.low,
        high=interval.high,
        base=float(prompt_means(first, prompts).mean()),
        won=float(np.where(second == first, 0.5, second > first).mean()),
        prompts=len(by_prompt),
    )
