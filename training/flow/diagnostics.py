"""What the held-out numbers mean, in a sentence: is it learning, and if not, what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from ..loop.callback import Callback, Run, Say
from ..loop.log_file import read_log

State = Literal[
    "learning", "not learning", "winner error rising", "diverged", "far", "wrong way", "overfitting", "won", "too few"
]

RISING = 0.01  # of the reference's error, from which on a rise of the winner's error is worth a word
DIVERGED = 0.25
FAR = 0.1  # of the reference's error: squared distance of the velocities from the reference's
ENOUGH_EVALUATIONS = 3
WON = 0.02
ENOUGH_PAIRS = 5
"""Of fewer held-out pairs chance alone reaches 0 and 1: two standard deviations of it are 0.5 or more."""
UNSURE = 0.2
"""A half width of chance from which on "no better than chance" is no finding: fewer than 25 pairs."""


class Diagnosis(NamedTuple):
    """A state and the sentence that says it."""

    state: State
    sentence: str


def diagnose(history: Sequence[Mapping[str, float]], pairs: int) -> Diagnosis | None:
    """What a run's evaluations say, the newest last; None where it is too early to say anything.

    Args:
        history: ``accuracy``, ``winner_error``, ``reference_error``, ``push`` of each evaluation (details by noise level as
            ``name/low-high``), and the training's ``drift`` at that time where it is known.
        pairs: number of held-out pairs; it decides what is chance.
    """
    if not history or "accuracy" not in history[-1]:
        return None
    now, chance = history[-1], 2 * 0.5 / math.sqrt(max(pairs, 1))
    accuracy, rise = now["accuracy"], now["winner_error"] / max(now["reference_error"], 1e-12)
    few = pairs < ENOUGH_PAIRS
    counted = f"{pairs} pair{'' if pairs == 1 else 's'}"
    said = f"held-out accuracy {accuracy:.2f} " + (
        f"of {counted}, too few to tell" if few else f"(chance 0.50 +- {chance:.2f} with {counted})"
    )
    if not math.isfinite(rise) or rise > DIVERGED:
        return Diagnosis(
            "diverged",
            f"diverged: the winner's error is {100 * rise:.0f} % above the reference's, so the clips are being destroyed. Stop, "
            "and start again with a learning rate at least 10 times lower.",
        )
    best = max(entry["accuracy"] for entry in history)
    if rise > RISING and (
        len(history) < 2 or rise >= 0.9 * history[-2]["winner_error"] / max(history[-2]["reference_error"], 1e-12)
    ):
        return Diagnosis(
            "winner error rising",
            f"winner error is rising ({100 * rise:+.1f} % against the reference; {said}): it moves away from the chosen clips too. Where clips get worse (videoalign compare), lower the learning rate or end earlier.",
        )
    if now.get("drift", 0.0) > FAR * now["reference_error"]:
        far = f"the network is far from its reference (its velocities differ by {100 * now['drift'] / now['reference_error']:.0f} % of the error; {said})"
        return Diagnosis(
            "far", f"{far}: the learning rate is too high, or the run too long. Lower it, and start again."
        )
    if few:
        return Diagnosis(
            "too few",
            f"{said} whether it is learning: that takes {ENOUGH_PAIRS} or more (data.eval, or a larger data.eval_share). Compare clips with and without the LoRA (videoalign compare).",
        )
    if accuracy < 0.5 - chance:
        return Diagnosis(
            "wrong way",
            f"{said} is below chance: chosen and rejected may be swapped, or held-out pairs judge something else.",
        )
    if best - accuracy > chance and len(history) >= ENOUGH_EVALUATIONS:
        return Diagnosis(
            "overfitting",
            f"{said} has fallen from {best:.2f}: it learns the training pairs by heart. Take the LoRA of the best evaluation (its name ends in _best), end earlier (patience), or give more pairs.",
        )
    if now.get("push", 0.5) < WON and accuracy > 0.5 + chance:
        return Diagnosis("won", f"{said}: the pairs are won already; more steps only move away from the reference.")
    if accuracy > 0.5 + chance:
        return Diagnosis("learning", f"learning: {said}, winner error {100 * rise:+.2f} %{_where(now)}.")
    if len(history) >= ENOUGH_EVALUATIONS and chance >= UNSURE:
        return Diagnosis(
            "too few",
            f"{said}: whether it is learning cannot be told from so few. Hold out more (data.eval, or a larger data.eval_share), or compare clips with and without the LoRA (videoalign compare).",
        )
    if len(history) >= ENOUGH_EVALUATIONS:
        return Diagnosis(
            "not learning",
            f"not learning yet: {said}. Train longer (a larger max_steps goes on from here), raise the learning rate, or give clearer pairs (data.margin).",
        )
    return None


def _where(numbers: Mapping[str, float]) -> str:
    """At which noise levels it learns most and least."""
    bins = {name.partition("/")[2]: value for name, value in numbers.items() if name.startswith("accuracy/")}
    if len(bins) < 2:
        return ""
    most, least = max(bins, key=bins.__getitem__), min(bins, key=bins.__getitem__)
    if bins[most] - bins[least] < 0.1:
        return ""
    return f"; most at noise {most} ({bins[most]:.2f}), least at {least} ({bins[least]:.2f})"


class Diagnostics(Callback):
    """Says after each evaluation what it means.

    Args:
        pairs: number of held-out pairs.
    """

    def __init__(self, pairs: int) -> None:
        self.pairs = pairs
        self.history: list[Mapping[str, float]] = []
        self.last: Diagnosis | None = None
        self._drift: dict[str, float] = {}

    def began(self, run: Run, say: Say) -> None:
        for line in read_log(run.log_file):
            self._take(line.get("kind", ""), line)
        self.last = diagnose(self.history, self.pairs) if self.history else None
        if not self.pairs:
            say(
                "No held-out pairs: nothing will tell whether it is learning. Give data.eval, or a larger data.eval_share."
            )

    def logged(self, step: int, kind: str, numbers: Mapping[str, float], say: Say) -> None:
        if kind == "eval" and not step:
            return  # of the untrained model
        self._take(kind, numbers)
        if kind == "eval":
            before, self.last = self.last, diagnose(self.history, self.pairs)
            again = before is not None and before.state == "too few"
            if self.last is not None and not (again and self.last.state == "too few"):
                say(f"step {step}: {self.last.sentence}")

    def _take(self, kind: str, numbers: Mapping[str, float]) -> None:
        if kind == "eval" and numbers.get("step", 1):
            self.history.append({**self._drift, **numbers})
        elif "drift" in numbers:
            self._drift = {"drift": numbers["drift"]}
