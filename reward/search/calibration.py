"""How much of the last look's choice an early look makes, measured on takes that were all finished.

Of each prompt N takes are judged after several steps and at the end. Within a prompt the early totals are held to the final ones: their
correlation by ranks (Spearman) and by values (Pearson), and what the take that is first early is worth at the end, as a share of what the take
that is first at the end is worth, both above the mean of the prompt's takes. Prompts are what is drawn by chance; intervals are over them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import VideoAlignError
from ...files.atomic_file import write_json
from ...files.json_text import finite_or_none, read_json
from ..student_interval import student_mean
from .plan import cost
from .seed_search import Look

FEW = 10
"""Prompts below which an interval says little."""
ENOUGH = 0.6
"""Share of the gain that the chosen step keeps at least."""


@dataclass(frozen=True)
class Told:
    """A mean over prompts and its 95 % interval; infinite bounds with one prompt."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class StepWorth:
    """What a look after a step is worth.

    Attributes:
        step: steps done.
        spearman, pearson: correlation with the final totals within prompts, -1..1.
        gain: of its choice over the mean of a prompt's takes, in the final totals' unit.
        share: of the last look's gain, mean over mean; its interval takes the denominator as known.
        work: in clips, for N seeds of which one is finished.
    """

    step: int
    spearman: Told
    pearson: Told
    gain: Told
    share: Told
    work: float


@dataclass(frozen=True)
class Calibration:
    """What was measured, and of what.

    Attributes:
        about: model, sampler, steps, scale, judge and all else that it holds for, JSON-ready.
        prompts, seeds, steps: how many prompts, takes of each, and steps of a clip.
        worth: of each step, ascending; the last is the end.
    """

    about: Mapping[str, Any]
    prompts: int
    seeds: int
    steps: int
    worth: tuple[StepWorth, ...]

    def chosen(self, enough: float = ENOUGH) -> StepWorth:
        """The earliest step after which each look keeps ``enough`` of the gain; the end where none does."""
        chosen = self.worth[-1]
        for one in reversed(self.worth):
            if one.share.mean < enough:
                break
            chosen = one
        return chosen

    def sentence(self, worth: StepWorth) -> str:
        """For people."""
        return (
            f"a look after {worth.step} of {self.steps} steps keeps {100 * worth.share.mean:.0f} % of the gain of best of {self.seeds} "
            f"[{100 * worth.share.low:.0f}, {100 * worth.share.high:.0f}] for {worth.work:.2f} runs"
        )

    def caution(self) -> str:
        """What is to be said of few prompts; empty where there are enough."""
        if self.prompts >= FEW:
            return ""
        return f"{self.prompts} prompt{'s are' if self.prompts > 1 else ' is'} few: the intervals are wide. Measure {FEW} or more."

    def write(self, file: Path) -> None:
        """Write it as JSON; bounds that are not finite are null."""
        write_json(file, finite_or_none(asdict(self)))

    @classmethod
    def read(cls, file: Path) -> Calibration:
        """Read what ``write`` wrote.

        Raises:
            VideoAlignError: it is none.
        """
        try:
            told = read_json(file)
            rows: list[dict[str, Any]] = [
                {name: _told(value) if isinstance(value, dict) else value for name, value in one.items()}
                for one in told["worth"]
            ]
            worth = tuple(StepWorth(**row) for row in rows)
            return cls(**(told | {"worth": worth}))
        except (KeyError, TypeError, ValueError) as error:
            raise VideoAlignError(
                f"{file} is no calibration of videoalign search ({error}). Measure it again."
            ) from error

    def check_is_of(self, about: Mapping[str, Any], file: Path) -> None:
        """Refuse one of another model, sampling or judge.

        Raises:
            VideoAlignError: it is; the message names what differs.
        """
        differing = sorted(name for name in {*about, *self.about} if about.get(name) != self.about.get(name))
        if differing:
            raise VideoAlignError(
                f"{file} was measured with other values of {', '.join(differing)}. Calibrate again with what you search with."
            )


def calibrate(looks: Mapping[str, Sequence[Look]], steps: int, about: Mapping[str, Any]) -> Calibration:
    """Measure.

    Args:
        looks: of each prompt, every take at every step, the last step among them; a take that is out at any of them counts at none.
        steps: of a clip.

    Raises:
        VideoAlignError: no prompt has two takes that were judged everywhere.
    """
    tables = [table for found in looks.values() if (table := _table(found, steps)) is not None]
    if not tables:
        raise VideoAlignError("No prompt has two takes that were judged at every look, so nothing can be measured.")
    at = sorted({look.step for found in looks.values() for look in found})
    seeds = round(float(np.mean([table.shape[1] for table in tables])))
    best = [table[-1].max() - table[-1].mean() for table in tables]
    whole = float(np.mean(best))
    worth = []
    for index, step in enumerate(at):
        gains = np.array([_gain(table[index], table[-1]) for table in tables])
        scale = 1 / whole if whole > 0 else math.nan
        gain = _mean(gains)
        worth.append(
            StepWorth(
                step,
                _mean([_correlation(_ranks(table[index]), _ranks(table[-1])) for table in tables]),
                _mean([_correlation(table[index], table[-1]) for table in tables]),
                gain,
                Told(gain.mean * scale, gain.low * scale, gain.high * scale),
                cost([(step, 1)], seeds, steps) / steps,
            )
        )
    return Calibration(about, len(tables), seeds, steps, tuple(worth))


def _table(looks: Sequence[Look], steps: int) -> np.ndarray | None:
    """[steps looked at, seeds] totals of the takes that were judged everywhere."""
    at = sorted({look.step for look in looks})
    totals = {(look.step, look.seed): look.total for look in looks if look.total is not None and not look.out}
    seeds = [seed for seed in {look.seed: None for look in looks} if all((step, seed) in totals for step in at)]
    if len(seeds) < 2 or not at or at[-1] != steps:
        return None
    return np.array([[totals[step, seed] for seed in seeds] for step in at], dtype=np.float64)


def _gain(early: np.ndarray, final: np.ndarray) -> float:
    """Of the take that is first early; of several that tie their mean."""
    return float(final[early == early.max()].mean() - final.mean())


def _ranks(values: np.ndarray) -> np.ndarray:
    """From 1; of equal values their mean rank."""
    below = (values[None] < values[:, None]).sum(1)
    return below + ((values[None] == values[:, None]).sum(1) + 1) / 2


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's; 0 where one is constant, which tells nothing of the other."""
    a, b = first - first.mean(), second - second.mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size > 0 else 0.0


def _mean(values: Sequence[float] | np.ndarray) -> Told:
    found = student_mean(values)
    return Told(float(np.mean(values)), found.low, found.high)


def _told(value: Mapping[str, float | None]) -> Told:
    mean, low, high = value["mean"], value["low"], value["high"]
    return Told(
        math.nan if mean is None else mean, -math.inf if low is None else low, math.inf if high is None else high
    )
