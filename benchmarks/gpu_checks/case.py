"""A check: what it runs, what came out, and the seconds and memory of a piece of code on the device."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch


@dataclass(frozen=True)
class Bench:
    """Where and how large.

    Attributes:
        device: where the checks run.
        real: the sizes that people use; otherwise small ones, for a rehearsal on a CPU.
    """

    device: torch.device
    real: bool

    @property
    def dtype(self) -> torch.dtype:
        """Of weights and arithmetic."""
        return torch.bfloat16 if self.real else torch.float32

    @property
    def cuda(self) -> bool:
        """Whether memory can be measured."""
        return self.device.type == "cuda"

    def wait(self) -> None:
        """Until the device has done what it was told."""
        if self.cuda:
            torch.cuda.synchronize()

    def measured(self, work: Callable[[], object], repeats: int = 1, warm_up: int = 1) -> tuple[float, int | None]:
        """Fastest seconds by the clock (on a GPU the processor's say nothing), and peak bytes above what was in use before."""
        for _ in range(warm_up):
            work()
        self.wait()
        rest = torch.cuda.memory_allocated() if self.cuda else 0
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            work()
            self.wait()
            seconds.append(time.perf_counter() - began)
        return min(seconds), torch.cuda.max_memory_allocated() - rest if self.cuda else None


@dataclass
class Outcome:
    """What a check found.

    Attributes:
        seconds: of what the check's name says, once.
        peak: bytes above what was in use before it; None where that cannot be measured.
        planned: what ``videoalign plan`` counts for the same; None where it counts no such thing.
        facts: other numbers, by what they are.
        wrong: why the check failed; empty where it is well.
    """

    seconds: float | None = None
    peak: int | None = None
    planned: float | None = None
    facts: dict[str, float] = field(default_factory=dict)
    wrong: str = ""


@dataclass(frozen=True)
class Check:
    """A line of the table.

    Attributes:
        name: of the line.
        expected: seconds that it may take on a GPU, with making its network; a check that no longer fits is left out.
        run: does it.
        plan: the same counted without a GPU, at the real size; None where there is nothing to count.
    """

    name: str
    expected: float
    run: Callable[[Bench], Outcome]
    plan: Callable[[], Outcome] | None = None


def run_check(check: Check, bench: Bench) -> Outcome:
    """Run a check; what it raises is its outcome, and the next one finds the memory free."""
    try:
        return check.run(bench)
    except Exception as error:  # one check that fails must not hide the others
        return Outcome(wrong=f"{type(error).__name__}: {error}"[:300])
    finally:
        gc.collect()
        if bench.cuda:
            torch.cuda.empty_cache()


def parameter_bytes(*modules: torch.nn.Module) -> int:
    """Bytes of all parameters."""
    return sum(weight.nbytes for module in modules for weight in module.parameters())
