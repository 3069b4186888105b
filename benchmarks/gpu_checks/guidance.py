"""The latent reward and a guided step, at Wan 1.3B's and 14B's shapes."""

from __future__ import annotations

from argparse import Namespace
from functools import partial

import guidance_cost
from wan_sizes import SIZES

from .case import Bench, Check, Outcome, parameter_bytes

CLIP = (33, 832, 480)  # frames, width, height


def checks() -> list[Check]:
    """The reward's gradient alone, and a step with it."""
    return [Check(f"a guided step, Wan {size}, reward on 1.3b", expected, partial(guided, size)) for size, expected in
            (("1.3b", 30), ("14b", 90))]  # fmt: skip


def guided(size: str, bench: Bench) -> Outcome:
    """A CFG step of the product's sampling loop with guidance; the overhead and the gradient's memory beside the plan's."""
    from videoalign.reward.latent.gradient_memory import gradient_bytes

    name, reward = (size, "1.3b") if bench.real else ("micro", "micro")
    options = Namespace(
        size=name, reward_size=reward, device=str(bench.device), dtype=str(bench.dtype).removeprefix("torch.")
    )
    clip = CLIP if bench.real else (5, 32, 32)
    layers, blocks = (SIZES[name].layers, SIZES[reward].trunk) if bench.real else (2, 1)
    run = guidance_cost.Run(options, layers, blocks, clip)
    times = run.times(1)
    _, peak = bench.measured(run.guide)
    fastest = {row: taken.clock.fastest for row, taken in times.items()}
    facts = {
        "overhead, of a CFG step": fastest[guidance_cost.OVERHEAD] / fastest[guidance_cost.CFG],
        "overhead, of plain": fastest[guidance_cost.OVERHEAD] / fastest[guidance_cost.PLAIN],
        "weights, GB": parameter_bytes(run.generator.module, run.reward) / 1e9,
        "tokens": run.tokens,
    }
    return Outcome(fastest[guidance_cost.GUIDED], peak, gradient_bytes(run.reward, run.x_t.shape), facts)
