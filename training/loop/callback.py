"""What may look at a training run from outside: diagnostics, curves, previews. It must not change the training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from accelerate import Accelerator

    from .evaluations import Evaluations

Say = Callable[[str], None]
"""Writes a line into the log without disturbing the progress line."""


class Run(Protocol):
    """What a callback sees of a run.

    Attributes:
        step: optimizer steps that are done.
        steps: of the whole run.
        log_file: the log so far, see ``log_file``.
        accelerator: of the process.
        evaluations: of the held-out data so far.
    """

    step: int
    steps: int
    log_file: Path
    accelerator: Accelerator
    evaluations: Evaluations

    def averaged(self) -> AbstractContextManager[None]:
        """Inside, the network has the weights that are judged and written; ``evaluated`` and ``saved`` are called so."""


class Callback:
    """Every method does nothing; override what is wanted. ``evaluated``, ``stepped`` and ``saved`` run on every process."""

    def began(self, run: Run, say: Say) -> None:
        """Training starts or goes on at ``run.step``; earlier lines are in ``run.log_file``."""

    def logged(self, step: int, kind: str, numbers: Mapping[str, float], say: Say) -> None:
        """A line of kind ``train`` or ``eval`` was written."""

    def evaluated(self, run: Run, numbers: Mapping[str, float], say: Say) -> None:
        """The held-out data were judged after ``run.step``, and ``run.evaluations`` knows it."""

    def stepped(self, run: Run, say: Say) -> None:
        """``run.step`` optimizer steps are done."""

    def saved(self, run: Run, say: Say) -> None:
        """A checkpoint of ``run.step`` was written."""

    def ended(self, run: Run, say: Say) -> None:
        """The run stops: finished, interrupted or failed."""
