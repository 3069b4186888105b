"""What may look at a training run from outside: diagnostics, curves, previews. It must not change the training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from accelerate import Accelerator

Say = Callable[[str], None]
"""Writes a line into the log without disturbing the progress line."""


class Run(Protocol):
    """What a callback sees of a run.

    Attributes:
        step: optimizer steps that are done.
        steps: of the whole run.
        log_file: the log so far, see ``log_file``.
        accelerator: of the process.
    """

    step: int
    steps: int
    log_file: Path
    accelerator: Accelerator


class Callback:
    """Every method does nothing; override what is wanted. Only ``stepped`` runs on every process."""

    def began(self, run: Run, say: Say) -> None:
        """Training starts or goes on at ``run.step``; earlier lines are in ``run.log_file``."""

    def logged(self, step: int, kind: str, numbers: Mapping[str, float], say: Say) -> None:
        """A line of kind ``train`` or ``eval`` was written."""

    def stepped(self, run: Run, say: Say) -> None:
        """``run.step`` optimizer steps are done."""

    def ended(self, run: Run, say: Say) -> None:
        """The run stops: finished, interrupted or failed."""
