"""What may look at a training run from outside: diagnostics, curves, previews. It must not change the training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .train_loop import TrainLoop

Say = Callable[[str], None]
"""Writes a line into the log without disturbing the progress line."""


class Callback:
    """Every method does nothing; override what is wanted. Only ``stepped`` runs on every process."""

    def began(self, loop: TrainLoop, say: Say) -> None:
        """Training starts or goes on at ``loop.step``; earlier lines are in ``loop.log_file``."""

    def logged(self, step: int, kind: str, numbers: Mapping[str, float], say: Say) -> None:
        """A line of kind ``train`` or ``eval`` was written."""

    def stepped(self, loop: TrainLoop, say: Say) -> None:
        """``loop.step`` optimizer steps are done."""

    def ended(self, loop: TrainLoop, say: Say) -> None:
        """The run stops: finished, interrupted or failed."""
