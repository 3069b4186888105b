"""The learning rate over a run, as a factor of the rate that the options give."""

from __future__ import annotations

import math

from .config import LoopConfig


def rate_factor(config: LoopConfig, step: int, steps: int) -> float:
    """Between 0 and 1, of the step number ``step`` (from 0) of ``steps``: the warm-up, then the schedule."""
    warmup = config.warmup * steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if config.schedule == "constant":
        return 1.0
    done = (step - warmup) / max(steps - warmup, 1)
    return 1 - done if config.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))


def rate_sum(config: LoopConfig, steps: int) -> float:
    """Of all factors of a run. Adam moves a weight by about the learning rate at most in a step, hence times the rate: how far."""
    return sum(rate_factor(config, step, steps) for step in range(steps))
