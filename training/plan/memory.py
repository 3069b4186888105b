"""What a training fills, part by part, and what to change where that is too much.

Of a counted step everything else follows by arithmetic: in how many bits the frozen matrices are kept and where, the
optimizer's state. So one count answers for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...backbones.stored_weights import kept_bytes
from ...planning.counting import BETWEEN, with_between
from ..flow.config import MemoryConfig, OptimizerConfig
from .flow_step import StepCount

_STATE = {"adamw": 8, "adamw8bit": 2.1}  # bytes a trained parameter; 8-bit states have a scale of 256


@dataclass(frozen=True)
class Memory:
    """Bytes on the device, and in main memory.

    Attributes:
        weights: frozen, on the device.
        adapter: trained parameters and their gradients.
        optimizer: its state.
        activations: of a micro batch, with the matrices that are brought back to full precision for it.
        main_memory: frozen weights that are kept there.
    """

    weights: float
    adapter: float
    optimizer: float
    activations: float
    main_memory: float

    @property
    def counted(self) -> float:
        """All parts on the device."""
        return self.weights + self.adapter + self.optimizer + self.activations

    @property
    def needed(self) -> float:
        """With what lies between, an estimate."""
        return with_between(self.counted)


def memory_of(step: StepCount, options: MemoryConfig, optimizer: OptimizerConfig) -> Memory:
    """The memory of a training with a counted step."""
    form = options.base_dtype if options.quantised else "plain"
    stored = sum(kept_bytes(form, one.rows, one.columns, step.matrix_bytes) for one in step.matrices)
    largest = max((one.count for one in step.matrices), default=0) * step.matrix_bytes
    # Made anew for each product, while the one before may still be there.
    brought_back = 2 * largest if options.quantised or options.offload_blocks else 0
    on_device = 0.0 if options.offload_blocks else stored
    return Memory(
        weights=on_device + step.others,
        adapter=step.trained * 4 * 2,
        optimizer=step.trained * _STATE[optimizer.kind],
        activations=step.activations + brought_back,
        main_memory=stored if options.offload_blocks else 0.0,
    )


@dataclass(frozen=True)
class Change:
    """Options that need less memory than those that were given.

    Attributes:
        words: as they are written.
        memory: what is needed with them.
    """

    words: str
    memory: Memory


def smaller(step: StepCount, options: MemoryConfig, optimizer: OptimizerConfig) -> Iterator[Change]:
    """Changes of how weights and states are kept, the cheapest first."""
    now = memory_of(step, options, optimizer)
    eight = optimizer.model_copy(update={"kind": "adamw8bit"})
    ladder = [
        ({}, eight), ({"offload_blocks": True}, optimizer), ({"base_dtype": "float8"}, optimizer),
        ({"offload_blocks": True}, eight), ({"base_dtype": "nf4"}, optimizer), ({"base_dtype": "nf4", "offload_blocks": True}, optimizer),
        ({"base_dtype": "nf4", "offload_blocks": True}, eight),
    ]  # fmt: skip
    for changed, kept in ladder:
        with_it = options.model_copy(update=changed)
        words = [
            f"memory.{name} = {_toml(value)}" for name, value in changed.items() if getattr(options, name) != value
        ]
        words += [f"optimizer.kind = {kept.kind}"] if kept != optimizer else []
        memory = memory_of(_as_stored(step, with_it), with_it, kept)
        if words and memory.needed < now.needed:
            yield Change(", ".join(words), memory)


def _as_stored(step: StepCount, options: MemoryConfig) -> StepCount:
    """Weights in fewer bits are computed in bfloat16."""
    return replace(step, matrix_bytes=2) if options.quantised else step


def fraction_that_fits(step: StepCount, memory: Memory, room: float) -> float | None:
    """Which share of a clip's tokens would fit; None where not even the weights do. Activations go as the tokens do."""
    left = room / (1 + BETWEEN) - (memory.counted - step.activations)
    return left / step.activations if left > 0 and step.activations else None


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
