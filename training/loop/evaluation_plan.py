"""How often the held-out data are judged: as the options say, or so that it takes at most a twentieth of the run.

What is compared are forward passes of one clip; with the backward pass one counts as three.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SHARE = 0.05
"""Of a training's passes, what its evaluations take by default."""
MOST = 10
FORWARD_AND_BACKWARD = 3.0


@dataclass(frozen=True)
class EvaluationCost:
    """What a run's evaluations take, in forward passes of one clip.

    Attributes:
        row: training on one row.
        evaluation: judging all that is held out, once.
        beginning: what is needed once before the first, such as the reference's own passes.
        at_beginning: whether the untrained model is judged too, within ``beginning``.
        words: what an evaluation is of.
    """

    row: float
    evaluation: float
    beginning: float = 0.0
    at_beginning: bool = False
    words: str = ""


@dataclass(frozen=True)
class EvaluationPlan:
    """Evaluations of a run.

    Attributes:
        every: steps between them; there is one at the end too.
        times: that there will be, the one at the beginning left out.
        beginning: whether the untrained model is judged.
        said: all of it in a sentence; empty where nothing is held out.
    """

    every: int
    times: int
    beginning: bool
    said: str


def evaluation_plan(steps: int, batch_size: int, cost: EvaluationCost | None, every: int | None) -> EvaluationPlan:
    """The evaluations of a run of so many steps.

    Args:
        every: as the options have it; None: as often as ``SHARE`` allows, at the end at least and at most ``MOST`` times.
    """
    if cost is None:
        every = every or max(1, steps // MOST)
        return EvaluationPlan(every, math.ceil(steps / every), False, "")
    given, training = every is not None, steps * batch_size * cost.row
    if every is None:
        affordable = int((SHARE * training - cost.beginning) / cost.evaluation) if cost.evaluation else MOST
        every = math.ceil(steps / max(1, min(MOST, affordable, steps)))
    times = math.ceil(steps / every)
    beginning = cost.at_beginning and not given
    share = (cost.beginning + times * cost.evaluation) / training
    when = [
        *(["at the beginning"] if beginning else []),
        *([f"every {every} steps"] if times > 1 else []),
        "at the end",
    ]
    said = (
        f"Held-out evaluations: {times + beginning} ({', '.join(when[:-1])}{' and ' if when[1:] else ''}{when[-1]}), {cost.words}; "
        f"{100 * share:.2g} % of the training's passes."
    )
    return EvaluationPlan(every, times, beginning, said if cost.evaluation else "")
