"""How long takes last in this ComfyUI, found with a search's first takes, which count as its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..reward.search.pace import Pace
from .known_takes import KNOWN, KnownTakes, look_key

if TYPE_CHECKING:
    from .seed_search import SearchSettings
    from .seed_takes import SeedSampling
    from .take_judging import LatentMarks, PreviewMarks


def pace_of(
    settings: SearchSettings, sampling: SeedSampling, judge: PreviewMarks | LatentMarks, prompt: str,
    memory: KnownTakes = KNOWN,
) -> tuple[Pace, frozenset[tuple[int, int]]]:  # fmt: skip
    """Seconds of a model evaluation and of a look, and the (seed, step) of the looks that were taken to find them.

    The first take loads models and makes ready; the second is timed. Both looks are remembered, so that the search need not take
    them again; and so is the pace, so that the same search drafts the same seeds when it is run again.

    Raises:
        VideoAlignError: a take cannot be judged.
    """
    about = sampling.key(), judge.key()
    known = memory.pace(about)
    if known is not None:
        return known, frozenset()
    step = settings.steps_of_looks(sampling.steps)[0]
    taken = []
    for seed in settings.candidates(min(2, settings.seeds)):
        before, start = sampling.evaluated, time.perf_counter()
        take = sampling.begin(seed).go(step)
        sampled = time.perf_counter()
        _, clip = judge.marks(take, prompt)
        judged = time.perf_counter()
        memory.keep_look(look_key(*about, prompt, seed, step), clip)
        pace = Pace((sampled - start) / max(1, sampling.evaluated - before), judged - sampled)
        taken.append((seed, step))
    memory.keep_pace(about, pace)
    return pace, frozenset(taken)
