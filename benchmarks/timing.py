"""Seconds of a piece of code: by the clock, and of the processor over all threads of the process.

What is compared is run in turn, round after round, so that whatever else the machine does then hits all of it alike. On a
busy machine the processor's seconds are the better measure, and the fastest run the least disturbed one.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

COLUMNS = ("CPU s, fastest", "median", "slowest", "clock s, fastest", "median", "slowest")
"""Headings of ``Times.cells``."""


class Spread(NamedTuple):
    """Seconds of several runs."""

    fastest: float
    median: float
    slowest: float


@dataclass
class Times:
    """Runs of one piece of code, each as seconds (by the clock, of the processor)."""

    runs: list[tuple[float, float]] = field(default_factory=list)

    @property
    def clock(self) -> Spread:
        """Seconds by the clock."""
        return _spread(clock for clock, _ in self.runs)

    @property
    def cpu(self) -> Spread:
        """Seconds of the processor."""
        return _spread(cpu for _, cpu in self.runs)

    def cells(self, digits: int = 2, scale: float = 1.0) -> list[str]:
        """Six cells of a table, as ``COLUMNS`` names them."""
        return [f"{scale * value:.{digits}f}" for value in (*self.cpu, *self.clock)]

    def ratio(self, other: Times) -> tuple[float, float]:
        """This fastest run over the other's: in processor seconds, and by the clock."""
        return self.cpu.fastest / other.cpu.fastest, self.clock.fastest / other.clock.fastest


class Stopwatch:
    """Runs of named pieces of code.

    Attributes:
        times: what was measured, by name.

    Args:
        wait: waits until a device has done what it was told; called before the clock starts and before it stops.
    """

    def __init__(self, wait: Callable[[], object] = lambda: None) -> None:
        self.times: dict[str, Times] = {}
        self._wait = wait

    def run(self, name: str, work: Callable, *arguments: object):
        """Call ``work`` and note how long it took; returns what it returns. Calls may be nested."""
        self._wait()
        clock, cpu = time.perf_counter(), time.process_time()
        result = work(*arguments)
        self._wait()
        taken = time.perf_counter() - clock, time.process_time() - cpu
        self.times.setdefault(name, Times()).runs.append(taken)
        return result


def interleaved(repeats: int, work: Mapping[str, Callable[[], object]], warm_up: int = 0) -> dict[str, Times]:
    """Run everything in turn, ``warm_up`` rounds that do not count and then ``repeats`` that do."""
    for _ in range(warm_up):
        for function in work.values():
            function()
    watch = Stopwatch()
    for _ in range(repeats):
        for name, function in work.items():
            watch.run(name, function)
    return watch.times


def _spread(values: Iterable[float]) -> Spread:
    seconds = sorted(values)
    return Spread(seconds[0], statistics.median(seconds), seconds[-1])
