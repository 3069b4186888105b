"""What ``videoalign align`` takes: the sum of its stages, each counted as the command that it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from ..generation.clip_folder import Wanted
from ..generation.plan import count_model, plan_generate
from ..planning.report import flop, gb
from ..planning.run_plan import RunPlan, Way
from ..preferences.splits import held_out_count
from ..training.flow.config import FlowConfig
from ..training.flow.method import Method
from ..training.plan.flow_plan import FlowData, plan_flow


@dataclass(frozen=True)
class Stages:
    """How much each stage has to do.

    Attributes:
        rounds: in which is generated, scored and trained.
        training, held_out: prompts.
        clips: of each training prompt in a round.
        compared: of each held-out prompt, by the model without and with the LoRA.
        pairs: of each training prompt, at most.
        comparisons: at the end, or after every round.
    """

    rounds: int
    training: int
    held_out: int
    clips: int
    compared: int
    pairs: int
    comparisons: int


def most_pairs(clips: int, pairing: str, per_prompt: int | None) -> int:
    """Pairs of a prompt that its clips can give."""
    most = 1 if pairing == "best_worst" else math.comb(clips, 2)
    return most if per_prompt is None else min(most, per_prompt)


def trained_rows(method: str, stages: Stages, eval_share: float) -> FlowData:
    """What a round trains on, at most: pairs, or for the methods that learn from all clips these."""
    held_out = held_out_count(stages.training, eval_share)
    prompts = stages.training - held_out
    each = {"dpo": stages.pairs, "sft": stages.pairs, "rwr": min(2 * stages.pairs, stages.clips)}.get(
        method, stages.clips
    )
    paired = min(2 * stages.pairs, stages.clips)
    clips = prompts * (stages.clips if method == "rvm" else paired) + held_out * paired
    return FlowData(
        f"At most {prompts * each} rows of {prompts} prompts", prompts * each, held_out * stages.pairs, clips, stages.training
    )  # fmt: skip


def plan_align(generating: object, training: FlowConfig, method: Method, stages: Stages) -> RunPlan:
    """Count what the stages take. Nothing is loaded, sampled or written.

    Args:
        generating: the configuration of ``videoalign generate`` in a round.
        training: that of ``videoalign train``; clips have the size that ``generate`` gives them.

    Raises:
        VideoAlignError: what the stages themselves would refuse.
    """
    settings = count_model(generating).settings
    size = {"width": settings.width, "height": settings.height, "frames": settings.frames, "fps": settings.fps}
    training = training.model_copy(update={"data": training.data.model_copy(update=size)})
    made = plan_generate(generating, _clips(stages.training, stages.clips))
    trained = plan_flow(training, method, trained_rows(method.name, stages, training.data.eval_share))
    # The clips without the LoRA are made once.
    sets = 1 + stages.comparisons
    compared = plan_generate(generating, _clips(stages.held_out, stages.compared, sets))
    scored = stages.rounds * stages.training * stages.clips + sets * stages.held_out * stages.compared
    told = [
        (f"{stages.rounds} x clips", made, stages.rounds),
        (f"{stages.rounds} x training", trained, stages.rounds),
        ("comparison", compared, 1),
    ]
    operations = sum(times * plan.operations for _, plan, times in told)
    largest = max((made, trained), key=lambda plan: plan.needed)
    other = min(made.needed, trained.needed)
    return RunPlan(
        head=(
            f"{stages.training} prompts to train on, {stages.held_out} held out; {stages.rounds} round{'s' if stages.rounds > 1 else ''}.",
            *(f"  {name}: {plan.head[0]} {flop(times * plan.operations)}, {gb(plan.needed)} on the device." for name, plan, times in told),
            *trained.head[1:],
        ),
        at_once="of the stage that takes most, " + ("sampling" if largest is made else f"training, {trained.at_once}"),
        parts=largest.parts,
        operations=operations,
        operations_said=(
            f"Operations: {flop(operations)} in all (counted); {scored} clips are scored besides, which is not counted, nor is their judge's memory.",
        ),
        main_memory=largest.main_memory,
        encoding=trained.encoding,
        ways=lambda: _ways(largest.ways(), other, of_training=largest is trained),
        smaller=largest.smaller,
        concerns=trained.concerns,
    )  # fmt: skip


def _clips(prompts: int, each: int, sets: int = 1) -> list[Wanted]:
    """The same prompts and seeds for each of some models."""
    counts = range(sets), range(prompts), range(each)
    return [Wanted(f"{model}_{one}_{seed}", str(one), seed) for model, one, seed in product(*counts)]


def _ways(ways: Sequence[Way], other: float, of_training: bool) -> list[Way]:
    """Those of the largest stage; below what another one needs nothing helps."""
    where = " (in the file of --train)" if of_training else ""
    return [replace(way, words=way.words + where, needed=max(way.needed, other)) for way in ways]
