"""What the loop asks of what it trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import nn

from .evaluation_plan import EvaluationCost


class Task(Protocol):
    """What is trained, on what, and how it is judged."""

    module: nn.Module
    """Its ``forward`` takes a prepared micro batch and returns (loss, {name: number or (mean, weight)}), see ``averages``.

    Names with a slash are details: logged, but not in the progress line. Trainable parameters are saved. An attribute
    ``sharded_units`` makes it fit for FSDP, see ``sharding``."""

    def parameter_groups(self) -> list[dict]:
        """Groups for AdamW, each with its own ``lr`` and ``weight_decay``."""

    def row_names(self, rows: Sequence[int]) -> str:
        """How to call these rows in an error message."""

    def prepare(self, rows: Sequence[int], first: int) -> object:
        """Load a micro batch; runs in a background thread. Raises VideoAlignError naming the row.

        Args:
            first: samples that all processes have seen before these: the step times the batch size and the index in the
                batch. What is drawn at random for a sample is keyed by it, and so the same for any number of processes.
        """

    def evaluate(self, module: nn.Module) -> Mapping[str, float]:
        """Held-out metrics; the same on every process. A task whose ``evaluation_cost`` says so is called before the first step too, with
        ``beginning=True``."""

    def evaluation_cost(self, samples: int | None) -> EvaluationCost | None:
        """What evaluations take beside the training; None where that is not counted.

        Args:
            samples: rows of the whole run, counted as often as they are seen, to which to suit the size of an evaluation as far as the
                options leave it open; None: it is as they and the defaults have it.
        """

    def contents(self) -> dict:
        """Entries of the fingerprint that are known by content: name -> digests. See ``same_run``."""

    def notes(self) -> dict:
        """What a checkpoint says of itself to those who take weights out of it; numbers, texts, lists and dictionaries."""

    judged_by: str | None
    """Which of them says how good the run is, more being better; None where nothing is held out."""

    visible_move: float
    """How far a trained weight has to move before its effect can be seen, see ``run_length``."""
