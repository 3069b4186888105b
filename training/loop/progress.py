"""What a run says while it goes on: a line for each entry of the log, with the pace, the time left and the memory."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ...backbones.devices import peak_memory

KINDS = {"train": "training", "eval": "HELD OUT"}
"""How the two kinds of lines are called, so that they cannot be taken for one another."""


class Pace:
    """How fast the steps of this process go.

    Args:
        step: that the run starts at.
    """

    def __init__(self, step: int) -> None:
        self._step, self._began = step, time.monotonic()

    def told(self, step: int, steps: int) -> str:
        """Such as ``2.1 s a step, 0:03:30 left, 10.4 GB of GPU memory``; nothing before the first step."""
        done = step - self._step
        if done < 1:
            return ""
        seconds = (time.monotonic() - self._began) / done
        left = int(seconds * (steps - step))
        parts = [f"{seconds:.3g} s a step", f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left"]
        if (held := peak_memory()) is not None:
            parts.append(f"{held / 1e9:.1f} GB of GPU memory")
        return ", ".join(parts)


def line(kind: str, step: int, steps: int, numbers: Mapping[str, float], pace: str = "") -> str:
    """An entry of the log as a line for people; details (names with a slash) are left to the log."""
    return f"{KINDS[kind]} step {step} of {steps}: {numbers_text(numbers)}" + (f" ({pace})" if pace else "")


def numbers_text(numbers: Mapping[str, float]) -> str:
    """Numbers without their details."""
    return ", ".join(f"{name} {value:.4g}" for name, value in numbers.items() if "/" not in name)
