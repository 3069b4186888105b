"""The pace of a search, measured at its first take and kept in its folder: the same command goes on with the same seeds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ...files.atomic_file import write_json
from ...files.digests import json_digest
from ...files.json_text import read_json
from ...reward.search.pace import Pace
from ...reward.search.seed_search import Look
from .judging import TakeJudge
from .takes import PromptTakes

FILE = "pace.json"


def pace_of(
    folder: Path, judge: TakeJudge, takes: PromptTakes, prompt: str, seed: int, step: int,
    seen: Callable[[Look, np.ndarray | None], None],
) -> Pace:  # fmt: skip
    """Of this folder by this judge: measured now, or by an earlier run.

    Args:
        seed, step: of the first take and its look, which is kept by ``seen``.

    Raises:
        VideoAlignError: the first take cannot be judged, or the file is damaged.
    """
    file, key = folder / FILE, json_digest(judge.identity())
    known = read_json(file) if file.exists() else {}
    if key not in known:
        take = takes.begin(seed)
        if step > 1:
            take.go(1)  # the first evaluation also makes ready
        done, start = take.step, time.perf_counter()
        take.go(step)
        sampled = time.perf_counter()
        marks, frames = judge.marks(take, prompt)
        judged = time.perf_counter()
        seen(Look(seed, step, marks), frames)
        known[key] = asdict(Pace((sampled - start) / (step - done), judged - sampled))
        write_json(file, known)
    return Pace(**known[key])
