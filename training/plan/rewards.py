"""What the plans of both trainers of rewards have in common: their steps, the parts of their memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from ...planning.counting import Count, with_between
from ...planning.report import flop
from ...planning.run_plan import Part, Way
from ..loop.config import LoopConfig
from ..loop.run_length import concerns, run_length

_MOMENTS = 2 * 4  # bytes a trained parameter of AdamW's state, in float32


@dataclass(frozen=True)
class PairStep:
    """A micro batch of pairs, forward and backward.

    Attributes:
        frozen: bytes of the weights that are not trained.
        trained: trained parameters, in float32.
        activations: most bytes beside weights and gradients.
        operations: of the micro batch.
        pairs: in it.
    """

    frozen: int
    trained: int
    activations: int
    operations: int
    pairs: int

    @property
    def parts(self) -> tuple[Part, ...]:
        """Of the device's memory."""
        said = f"counted; {self.trained / 1e6:.1f} million in float32"
        return (
            Part("frozen weights", self.frozen, "counted"),
            Part("trained, gradients", 2 * 4 * self.trained, said),
            Part("optimizer", _MOMENTS * self.trained, "counted; AdamW"),
            # Where the step of the optimizer needs more than that, it is for the square roots of its second moments.
            Part("activations", max(self.activations, 4 * self.trained), "counted on a CPU's operations"),
        )

    @property
    def needed(self) -> float:
        """Bytes on the device, with what lies between."""
        return with_between(sum(part.size for part in self.parts))


def count_pass(module: torch.nn.Module, given: Iterable[torch.Tensor], run: Callable[[], torch.Tensor]) -> PairStep:
    """Count a forward and backward pass, in a ``FakeTensorMode``.

    Gradients are there from the beginning, as from a step's second micro batch on.

    Args:
        given: the tensors of the batch.
        run: gives what the backward pass begins at.

    Returns:
        with 1 as the number of pairs.
    """
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    for weight in trained:
        weight.grad = torch.empty_like(weight)
    held = [*module.parameters(), *module.buffers(), *(weight.grad for weight in trained), *given]
    with Count(held) as count:
        run().backward()
    frozen = sum(weight.nbytes for weight in [*module.parameters(), *module.buffers()])
    return PairStep(
        frozen - sum(weight.nbytes for weight in trained),
        sum(weight.numel() for weight in trained),
        count.peak,
        count.operations,
        1,
    )


@dataclass(frozen=True)
class RewardRun:
    """How long a training of a reward is.

    Attributes:
        head: sentences.
        samples: pairs, in all steps together.
        concerns: why it may be worth little.
    """

    head: tuple[str, ...]
    samples: int
    concerns: tuple[str, ...]


def reward_run(config: LoopConfig, pairs: int, held_out: int, rate: float, move: float) -> RewardRun:
    """The steps of a training on so many pairs.

    Args:
        rate: the highest learning rate of any part.
        move: see ``run_length.VISIBLE``.
    """
    length = run_length(config, pairs, rate, move)
    samples = length.steps * length.batch_size
    return RewardRun(
        (
            f"{pairs} pairs to train on, {held_out} held out.",
            f"{length.steps} steps of {length.batch_size} pairs, {samples / pairs:.3g} times each"
            + (" (chosen by their number)." if length.chosen else "."),
        ),
        samples,
        tuple(concerns(config, length, pairs, rate, move)),
    )


def at_once(pairs: int) -> str:
    """What the memory is for."""
    return f"{pairs} pair{'s' if pairs > 1 else ''} at a time"


def operations_said(step: PairStep, training: float) -> str:
    """A sentence on the operations of a training."""
    return f"Operations: {flop(step.operations / step.pairs)} a pair (counted), {flop(training)} in all"


def changed_ways(
    ladder: Sequence[tuple[str, Callable[[LoopConfig], LoopConfig | None]]], config: LoopConfig,
    count: Callable[[LoopConfig], PairStep], now: float,
) -> list[Way]:  # fmt: skip
    """Changes of options one on top of the other, each counted anew.

    Args:
        ladder: (an option as it is written, the options with it, None where they have it already).
        now: bytes that are needed as it is.
    """
    words: list[str] = []
    found = []
    for written, change in ladder:
        changed = change(config)
        if changed is None:
            continue
        config = changed
        words.append(written)
        needed = count(config).needed
        if needed < now:
            found.append(Way(", ".join(words), needed))
    return found
