"""A plan in words."""

from __future__ import annotations

from ..flow.config import FlowConfig
from .cards import CARDS, UTILISATION, Card
from .flow_plan import FlowPlan
from .memory import BETWEEN, GB, Memory, fraction_that_fits, smaller


def plan_text(plan: FlowPlan, config: FlowConfig) -> str:
    """The plan as people read it; every figure says whether it is counted or an estimate."""
    data, length, step, memory = config.data, plan.length, plan.step, plan.memory
    channels, *size = plan.latents
    lines = [
        f"{plan.summary}; {plan.held_out} pairs held out.",
        f"{length.steps} steps of {length.batch_size} rows, {length.steps * length.batch_size / plan.rows:.3g} times each of {plan.rows} rows"
        + (" (chosen by their number)." if length.chosen else "."),
        f"A clip: {data.width}x{data.height}, {data.frames} frames at {data.fps:g} a second; {channels} x {' x '.join(map(str, size))} latents, "
        f"{step.tokens} tokens.",
        "",
        f"Memory on the device, {step.samples} row{'s' if step.samples > 1 else ''} at a time:",
        _part("frozen weights", memory.weights, f"counted; {_kept(config)}"),
        _part("adapter, gradients", memory.adapter, f"counted; {step.trained / 1e6:.1f} million trained in float32"),
        _part("optimizer", memory.optimizer, f"counted; {config.optimizer.kind}"),
        _part("activations", memory.activations, "counted on a CPU's operations"),
        _part("between", memory.needed - memory.counted, f"estimate, {100 * BETWEEN:.0f} %"),
        _part("in all", memory.needed, ""),
    ]
    if memory.main_memory:
        lines.append(_part("in main memory", memory.main_memory, "counted; the blocks' matrices"))
    lines += [
        "",
        "Before the training, clips and captions are encoded once: "
        + ", ".join(f"{name} {_gb(size)}" for name, size in plan.encoders if size)
        + f" (size of the files); then {_gb(plan.cache)} of cache on the disk (counted).",
        f"Operations: {step.operations / step.samples / 1e12:.4g} TFLOP a row (counted), {plan.operations / 1e15:.4g} PFLOP in all.",
        "",
        f"Cards, with {100 * UTILISATION:.0f} % of their peak (estimate):",
        *(_card(card, plan, config) for card in CARDS),
    ]
    return "\n".join(lines + [f"\nWARNING: {concern}" for concern in plan.concerns])


def _card(card: Card, plan: FlowPlan, config: FlowConfig) -> str:
    room = card.gigabytes * GB
    hours = _duration(card.seconds(plan.operations))
    if plan.memory.needed <= room:
        return f"  {card.name:<18} fits; {hours}"
    for change in smaller(plan.step, config.memory, config.optimizer):
        if change.memory.needed <= room:
            return f"  {card.name:<18} does not fit; with {change.words} it takes {_gb(change.memory.needed)}{_beside(change.memory)}; more than {hours}"
    least = min(
        (change.memory for change in smaller(plan.step, config.memory, config.optimizer)),
        key=_needed,
        default=plan.memory,
    )
    share = fraction_that_fits(plan.step, least, room)
    if share is None:
        return f"  {card.name:<18} does not fit"
    return (
        f"  {card.name:<18} does not fit; with every option below and clips of {100 * share:.0f} % of the tokens it does "
        f"(data.frames, width, height{', micro_batch_size' if plan.step.samples > 1 else ''})"
    )


def _needed(memory: Memory) -> float:
    return memory.needed


def _beside(memory: Memory) -> str:
    return f" and {_gb(memory.main_memory)} of main memory" if memory.main_memory else ""


def _kept(config: FlowConfig) -> str:
    where = ", the blocks' matrices in main memory" if config.memory.offload_blocks else ""
    return f"{config.memory.base_dtype}{where}"


def _part(name: str, size: float, said: str) -> str:
    return f"  {name:<20}{_gb(size):>10}  {said}".rstrip()


def _gb(size: float) -> str:
    return f"{size / GB:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return "less than a minute of arithmetic"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
