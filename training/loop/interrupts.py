"""Ctrl-C and SIGTERM during a training."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Stoppable(Protocol):
    """What can be asked to stop after its present step."""

    _stop: bool


@contextmanager
def interruptible(loop: Stoppable) -> Iterator[None]:
    """Ctrl-C and SIGTERM let the present step finish and save; a second Ctrl-C stops at once."""

    def stop(number: int, _frame: object) -> None:
        if loop._stop and number == signal.SIGINT:
            raise KeyboardInterrupt
        loop._stop = True

    try:
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: whoever runs us handles signals
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
