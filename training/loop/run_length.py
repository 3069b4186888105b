"""How many steps of how many rows: as the options say, as the run began, or chosen to suit the size of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .config import LoopConfig
from .schedule import rate_sum

VISIBLE = 2e-4
"""How far weights have to move before a clip or a score shows it: 1 % of a usual weight of 0.02."""
LEAST_BATCH = 8  # fewer rows give too noisy a gradient
MOST_CHOSEN_STEPS = 1000
FEW_STEPS = 20  # of a suggestion: what one big step would reach, it does not reach well


@dataclass(frozen=True)
class RunLength:
    """Steps and rows in each of them, over all processes.

    Attributes:
        chosen: neither was given; they were chosen by the number of rows.
    """

    steps: int
    batch_size: int
    chosen: bool = False


def run_length(
    config: LoopConfig,
    rows: int,
    rate: float,
    visible: float = VISIBLE,
    world: int = 1,
    earlier: Mapping[str, Any] | None = None,
) -> RunLength:
    """What ``config`` asks for; see ``chosen_length`` where it asks for nothing.

    Args:
        rate: the learning rate.
        visible: see ``VISIBLE``.
        world: processes that share a batch.
        earlier: ``steps`` and ``batch_size`` of the run that is gone on with: what the options do not say is as it was.
    """
    given = config.model_fields_set
    longer = {"max_steps", "epochs"} & given
    if earlier is not None and "batch_size" not in given:
        batch = earlier["batch_size"]
        if not longer:
            return RunLength(earlier["steps"], batch)
    elif not (longer or "batch_size" in given):
        return chosen_length(config, rows, rate, visible, world)
    elif "batch_size" in given:
        batch = config.batch_size
    else:  # a default, or a preset's: no row is seen twice in a step without being asked for
        batch = math.ceil(min(config.batch_size, max(1, rows)) / world) * world
    return RunLength(config.max_steps or max(1, math.ceil(config.epochs * rows / batch)), batch)


def chosen_length(config: LoopConfig, rows: int, rate: float, visible: float = VISIBLE, world: int = 1) -> RunLength:
    """The defaults of ``batch_size`` and ``epochs`` where the data are many, and else smaller batches and more passes.

    A run has to move the weights visibly, which takes ``visible / rate`` steps, and more where the rate is not constant. If the passes that ``epochs`` asks for give fewer,
    the batch is made smaller, down to 8 rows (or all rows, if they are fewer), and then more passes are made.
    """
    wanted = min(math.ceil(visible / rate), MOST_CHOSEN_STEPS)
    while wanted < MOST_CHOSEN_STEPS and rate * rate_sum(config, wanted) < visible:  # a warm-up or a falling rate
        wanted += 1
    samples = config.epochs * rows
    batch = config.batch_size
    if math.ceil(samples / batch) >= wanted:
        return RunLength(max(1, math.ceil(samples / batch)), batch, chosen=True)
    fitting = 2 ** int(math.log2(max(1, samples / wanted)))
    batch = min(batch, max(fitting, min(LEAST_BATCH, rows)))
    batch = math.ceil(batch / world) * world
    return RunLength(max(math.ceil(samples / batch), wanted), batch, chosen=True)


def concerns(config: LoopConfig, length: RunLength, rows: int, rate: float, visible: float = VISIBLE) -> list[str]:
    """What has to be said before the training: sentences with the run's numbers and a remedy; none where all is well.

    Args:
        rate: the highest learning rate of any part.
    """
    said, batch = [], length.batch_size
    if batch > rows and "batch_size" in config.model_fields_set:
        smaller = min(LEAST_BATCH, rows)
        said.append(
            f"A batch of {batch} is larger than the {rows} rows to train on: each step sees every row {batch / rows:.3g} times, at "
            f"other noise. A step of --batch-size {smaller} takes 1/{batch / smaller:.3g} of the time."
        )
    short = too_short(config, length, rows, rate, visible)
    return said if short is None else [*said, short]


def too_short(config: LoopConfig, length: RunLength, rows: int, rate: float, visible: float = VISIBLE) -> str | None:
    """Why a run moves its weights too little to be seen, and what to do; None where it does not."""
    steps, batch = length.steps, length.batch_size
    reach = rate * rate_sum(config, steps)
    if reach >= visible:
        return None
    smaller = min(batch, LEAST_BATCH, rows)
    short = max(FEW_STEPS, steps, math.ceil(steps * min(batch, rows) / smaller))
    return (
        f"{steps} step{'s' if steps > 1 else ''} at a learning rate of {rate:g} move{'' if steps > 1 else 's'} a weight by at most "
        f"about {reach:.1g}: no visible effect, which begins at about {visible:.1g}. Use --batch-size {smaller} --max-steps {short} "
        f"--optimizer.learning-rate {_rounded_up(visible / rate_sum(config, short)):g}, or --max-steps "
        f"{math.ceil(steps * visible / reach)}."
    )


def _rounded_up(number: float) -> float:
    """To one digit."""
    scale = 10.0 ** math.floor(math.log10(number))
    return float(f"{math.ceil(round(number / scale, 9)) * scale:.1g}")
