"""The plan of a flow training: its steps, what it fills, and how long it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from ...backbones.backbone import Backbone
from ...backbones.loading import describe_backbone
from ...planning.report import encoding_said, flop
from ...planning.run_plan import Part, RunPlan, Way
from ..flow.config import FlowConfig
from ..flow.method import Method
from ..flow.run import needed_of_images, with_expert_range
from ..flow.task import FlowRows, visible_move
from ..loop.run_length import concerns, run_length
from .choice import choose_way
from .encoding import encoding_of
from .flow_step import StepCount, count_step
from .memory import Change, Memory, fraction_that_fits, memory_of, smaller


@dataclass(frozen=True)
class FlowData:
    """What there is to train on.

    Attributes:
        summary: what was made of the pairs.
        rows: to train on.
        held_out: pairs.
        clips, prompts: distinct ones of all rows, which are encoded.
    """

    summary: str
    rows: int
    held_out: int
    clips: int
    prompts: int


def flow_data(config: FlowConfig, method: Method) -> FlowData:
    """Read the pairs.

    Raises:
        VideoAlignError: what the training itself would refuse before it encodes.
    """
    rows = FlowRows(config, method)
    clips = {clip for row in rows.all for clip in row.clips.values()}
    prompts = {*(row.prompt for row in rows.all), *rows.further_prompts}
    return FlowData(rows.summary, len(rows.train), len(rows.held_out), len(clips), len(prompts))


def plan_flow(config: FlowConfig, method: Method, data: FlowData | None = None) -> RunPlan:
    """Read the pairs, count a step on the network's real shapes, and reckon the rest. Nothing is encoded, loaded or written.

    Args:
        data: what the pairs will be, where they are not there yet.

    Raises:
        VideoAlignError: what the training itself would refuse before it encodes.
    """
    network = describe_backbone(config.model.transformer, whole=True)
    config = with_expert_range(config, network)
    data = flow_data(config, method) if data is None else data
    rate, move = config.optimizer.learning_rate, visible_move(config)
    length = run_length(config, data.rows, rate, move)
    rows = min(config.micro_batch_size, length.batch_size)
    choice = choose_way(config, method, rows)
    config, method = choice.config, choice.method
    latents = network.latent_format.shape(config.data.frames, config.data.height, config.data.width)
    caption = network.family.text_tokens, network.text_width
    step = _count(network, config, method, rows, latents, caption[0])
    memory = memory_of(step, config.memory, config.optimizer)
    encoding = encoding_of(config.model, config.data, data.clips, latents, data.prompts, caption)

    @cache
    def lesser() -> tuple[StepCount, str]:
        """The step in the way that takes least memory, and what options that is."""
        if choice.less is None:
            return step, ""
        words, *other = choice.less
        whole = describe_backbone(config.model.transformer, whole=True)
        return _count(whole, *other, rows, latents, caption[0]), words

    samples = length.steps * length.batch_size
    training = step.operations / step.samples * samples
    channels, *lengths = latents
    return RunPlan(
        head=(
            f"{data.summary}; {data.held_out} pair{'' if data.held_out == 1 else 's'} held out.",
            f"{length.steps} step{'' if length.steps == 1 else 's'} of {length.batch_size} rows, {samples / data.rows:.3g} times each of {data.rows} rows"
            + (" (chosen by their number)." if length.chosen else "."),
            f"A clip: {config.data.width}x{config.data.height}, {config.data.frames} frames at {config.data.fps:g} a second; "
            f"{channels} x {' x '.join(map(str, lengths))} latents, {step.tokens} tokens.",
            *([choice.said] if choice.said else []),
        ),
        at_once=f"{step.samples} row{'s' if step.samples > 1 else ''} at a time",
        parts=_parts(step, memory, config),
        operations=training + (encoding.operations if encoding else 0),
        operations_said=(
            f"Operations: {flop(step.operations / step.samples)} a row (counted), {flop(training)} in all{encoding_said(encoding, data.clips)}.",
        ),
        main_memory=memory.main_memory,
        encoding=encoding,
        ways=lambda: _ways(*lesser(), config),
        smaller=lambda room: _smaller_clips(lesser()[0], config, room),
        concerns=tuple(concerns(config, length, data.rows, rate, move)),
    )


def _parts(step: StepCount, memory: Memory, config: FlowConfig) -> tuple[Part, ...]:
    where = ", the blocks' matrices in main memory" if config.memory.offload_blocks else ""
    return (
        Part("frozen weights", memory.weights, f"counted; {config.memory.base_dtype}{where}"),
        Part("adapter, gradients", memory.adapter, f"counted; {step.trained / 1e6:.1f} million trained in float32"),
        Part("optimizer", memory.optimizer, f"counted; {config.optimizer.kind}"),
        Part("activations", memory.activations, "counted on a CPU's operations"),
    )


def _count(
    network: Backbone, config: FlowConfig, method: Method, rows: int, latents: tuple[int, int, int, int], caption: int
) -> StepCount:
    at_once = config.model_copy(update={"micro_batch_size": rows})
    return count_step(network, at_once, method, latents, caption, needed_of_images(config))


def _ways(step: StepCount, chosen: str, config: FlowConfig) -> Sequence[Way]:
    """Changes of the options, of how weights are kept beside ``chosen``."""
    changes = list(smaller(step, config.memory, config.optimizer))
    if chosen:
        changes = [Change("", memory_of(step, config.memory, config.optimizer)), *changes]
    return [
        Way(", ".join(filter(None, (chosen, one.words))), one.memory.needed, one.memory.main_memory) for one in changes
    ]


def _smaller_clips(step: StepCount, config: FlowConfig, room: float) -> str | None:
    memory = memory_of(step, config.memory, config.optimizer)
    changes = (change.memory for change in smaller(step, config.memory, config.optimizer))
    least = min(changes, key=lambda one: one.needed, default=memory)
    share = fraction_that_fits(step, least, room)
    if share is None:
        return None
    batch = ", micro_batch_size" if step.samples > 1 else ""
    return f"with every option below and clips of {100 * share:.0f} % of the tokens it does (data.frames, width, height{batch})"
