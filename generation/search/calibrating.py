"""Calibration of a search: takes that are all looked at several times and finished, and the step that is chosen by what that told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...reward.search.calibration import Calibration, StepWorth, calibrate
from ...reward.search.plan import checked_looks, schedule
from ...reward.search.seed_search import Found, Rule
from .judging import TakeJudge

FILE = "calibration.json"
SHARES = (0.125, 0.25, 0.375, 0.5, 0.75)
"""Of the steps, after which takes are looked at where no look is given."""


def calibrating_plan(looks: Sequence[int], steps: int, seeds: int, keep: int) -> list[tuple[int, int]]:
    """All takes go on to the last step, where the best are kept."""
    chosen = checked_looks(looks or [max(1, round(share * steps)) for share in SHARES], steps)
    early = [(step, seeds) for step in chosen if step < steps]
    return [*early, *schedule([steps], seeds, keep)]


def about(settings: Mapping[str, Any], steps: int, scale: float, judge: TakeJudge, rule: Rule) -> dict[str, Any]:
    """What a calibration holds for.

    Args:
        settings: of the folder of clips: model, LoRAs, sampling.
        scale: of classifier-free guidance.
    """
    told = {
        **settings,
        "sampler": "euler",
        "steps": steps,
        "guidance_scale": scale,
        "judge": judge.identity(),
        "weights": dict(rule.weights.normalised()),
        "gates": [str(gate) for gate in rule.gates],
    }
    return json.loads(json.dumps(told))  # as a file gives it back


def measured(
    folder: Path, results: Mapping[str, Found], steps: int, known_as: Mapping[str, Any]
) -> tuple[Calibration, Path]:
    """Measure and write it into the folder."""
    found = calibrate({prompt: one.looks for prompt, one in results.items()}, steps, known_as)
    found.write(folder / FILE)
    return found, folder / FILE


def chosen_look(file: Path, known_as: Mapping[str, Any]) -> tuple[StepWorth, str]:
    """The step that a calibration chooses, and why.

    Raises:
        VideoAlignError: the file is none, or of another model, sampling or judge.
    """
    found = Calibration.read(file)
    found.check_is_of(known_as, file)
    worth = found.chosen()
    return worth, f"{file.name}: {found.sentence(worth)}, measured on {found.prompts} prompts."


def lines(found: Calibration, file: Path) -> list[str]:
    """For the terminal: a line a step, and what is chosen."""
    told = [f"{found.prompts} prompts, {found.seeds} seeds; means and 95 % intervals over prompts:"]
    told += [
        f"  after {one.step} of {found.steps}: Spearman {one.spearman}, Pearson {one.pearson}, share of the gain {one.share}, {one.work:.2f} runs"
        for one in found.worth
    ]
    chosen = found.chosen()
    told.append(f"{found.sentence(chosen).capitalize()}: --calibration {file} chooses it.")
    return [*told, *filter(None, [found.caution()])]
