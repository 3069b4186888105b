"""The comparison as a page: win rates with their intervals, what the judges disagree about, clips side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...clips.clip_fault import reading
from ...clips.preview import rate_and_length, write_playable
from ...errors import ClipError
from ...pages.render import write_page
from ...pages.scripts import inline_script, inline_style
from ...reward.differences import differences, rate_row, verdict_line
from ...reward.guard.verdict import Change
from ...reward.judge import Dimension
from ...reward.win_rates import LEAST_INDEPENDENT, WinRate
from .judges import Judged
from .matching import MadeClip
from .report import Comparison, disagreements


@dataclass(frozen=True)
class Example:
    """One pair of clips to show, with each judge's scores of both."""

    base: MadeClip
    candidate: MadeClip


def write_comparison(
    folder: Path, comparison: Comparison, judged: Mapping[str, Judged], examples: Sequence[Example]
) -> Path:
    """Write index.html and the clips that it shows into a folder.

    Args:
        judged: judge -> its marks of the base's and of the candidate's clips.
        examples: pairs to show.
    """
    names, tables = comparison.names, comparison.tables
    clips = folder / "clips"
    clips.mkdir(parents=True, exist_ok=True)
    return write_page(
        folder / "index.html",
        "compare.html.j2",
        title=f"{names[1]} against {names[0]}",
        candidate=names[1],
        pairs=comparison.pairs,
        guard=_guard(comparison),
        tables=[
            {
                "judge": judge,
                "verdict": verdict_line(names, judged[judge].dimensions, table),
                "rows": [_row(one, table[one.name]) for one in judged[judge].dimensions],
            }
            for judge, table in tables.items()
        ],
        warnings=disagreements(tables),
        least=LEAST_INDEPENDENT,
        shown=_shown(names, judged, [_example(clips, *one, judged) for one in enumerate(examples, 1)]),
        script=inline_script("compare_view.js"),
        view_style=inline_style("compare.css"),
    )


def _guard(comparison: Comparison) -> dict:
    """The verdict for the page: its word and sentence, what clearly changed first."""
    found = comparison.verdict
    changes = sorted(found.changes, key=lambda change: (not change.worse, not change.clear, -change.size))
    return {
        "outcome": found.outcome.value,
        "kind": {"gained": "better", "hacked": "worse", "lost": "worse"}.get(found.outcome.value, ""),
        "sentence": found.sentence,
        "unmeasured": comparison.unmeasured,
        "changes": [_change(one) for one in changes],
    }


def _change(change: Change) -> dict:
    difference, direction = change.difference, change.watched.direction
    kind = "worse" if change.worse else "better" if change.clear and direction else ""
    said = kind or ("changed" if change.clear else "no clear change")
    return {
        "title": change.watched.title,
        "unit": change.watched.unit,
        "base": _number(difference.base).lstrip("+"),
        "mean": _number(difference.mean),
        "interval": f"{_number(difference.low)} to {_number(difference.high)}" if difference.prompts > 1 else "",
        "kind": kind,
        "said": said,
    }


def _number(value: float) -> str:
    """With its sign and three decimals, or three digits of a large one."""
    return f"{value:+.0f}" if abs(value) >= 100 else f"{value:+.1f}" if abs(value) >= 10 else f"{value:+.3f}"


def _row(dimension: Dimension, rate: WinRate) -> dict:
    return {"title": dimension.meaning.capitalize(), "rate": rate, **rate_row(dimension, rate)}


def _shown(names: tuple[str, str], judged: Mapping[str, Judged], pairs: list[dict]) -> dict:
    """What the view of the pairs draws; its figures over all pairs are the tables above it."""
    measures = [
        {"name": one.name, "meaning": f"{one.meaning}, in {one.unit}", "judge": title if len(judged) > 1 else ""}
        for title, judge in judged.items()
        for one in judge.dimensions
    ]
    notes = [clip["fault"] for pair in pairs for clip in pair["clips"] if clip["fault"]]
    whole = {"left": 0, "right": 1, "verdict": "", "rows": []}
    return {"names": list(names), "measures": measures, "comparisons": [whole], "pairs": pairs, "notes": notes}


def _example(folder: Path, number: int, example: Example, judged: Mapping[str, Judged]) -> dict:
    clips = []
    for side, clip in zip(("base", "candidate"), (example.base, example.candidate), strict=True):
        # Not by the clip's id, which comes from a file and may be a path.
        file, fps, fault = folder / f"{number:02}_{side}.mp4", None, None
        try:
            with reading(clip.path):
                fps, _ = rate_and_length(write_playable(clip.path, file))
        except ClipError as error:
            fault = str(error)
        clips.append({"file": file.name, "fps": fps, "fault": fault})
    cells = [
        cell
        for one in judged.values()
        for cell in differences(one.dimensions, one.base[example.base.id], one.candidate[example.candidate.id])
    ]
    return {"prompt": example.base.prompt, "seed": example.base.seed, "clips": clips, "cells": {"0 1": cells}}
