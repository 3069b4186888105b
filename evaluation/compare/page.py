"""The comparison as a page: win rates with their intervals, what the judges disagree about, clips side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...clips.clip_fault import reading
from ...clips.preview import write_playable
from ...errors import ClipError
from ...pages.render import write_page
from ...reward.dimensions import MEANING
from ...reward.judge import Dimension
from .judges import Judged
from .matching import MadeClip
from .win_rates import WinRate


@dataclass(frozen=True)
class Example:
    """One pair of clips to show, with each judge's scores of both."""

    base: MadeClip
    candidate: MadeClip


def write_comparison(
    folder: Path,
    names: tuple[str, str],
    tables: dict[str, dict[str, WinRate]],
    judged: dict[str, Judged],
    examples: Sequence[Example],
    pairs: int,
) -> Path:
    """Write index.html and the clips that it shows into a folder.

    Args:
        names: of the base and of the candidate.
        tables: judge -> dimension -> win rate of the candidate.
        judged: judge -> its marks of the base's and of the candidate's clips.
        examples: pairs to show.
        pairs: how many pairs were compared in all.
    """
    clips = folder / "clips"
    clips.mkdir(parents=True, exist_ok=True)
    return write_page(
        folder / "index.html",
        "compare.html.j2",
        title=f"{names[1]} against {names[0]}",
        candidate=names[1],
        pairs=pairs,
        tables=[
            {"judge": judge, "rows": [_row(one, table[one.name]) for one in judged[judge].dimensions]}
            for judge, table in tables.items()
        ],
        warnings=disagreements(tables),
        examples=[_example(clips, number, example, names, judged) for number, example in enumerate(examples, 1)],
    )


def disagreements(tables: dict[str, dict[str, WinRate]]) -> list[str]:
    """A sentence for each dimension in which one judge sees a clear gain and another a clear loss or no gain at all."""
    texts = []
    judges = list(tables)
    for name in dict.fromkeys(name for table in tables.values() for name in table):
        rating = [judge for judge in judges if name in tables[judge]]
        for judge in rating:
            for other in rating:
                first, second = tables[judge][name], tables[other][name]
                if first.verdict == 1 and second.verdict < 1 and second.rate <= 0.5:
                    what = "a loss" if second.verdict < 0 else "no gain"
                    texts.append(
                        f"{MEANING.get(name, name).capitalize()}: {judge} sees a gain ({first.rate:.0%}), {other} {what} ({second.rate:.0%}). "
                        "The clips may have learnt to please the first judge: look at them."
                    )
    return texts


def _row(dimension: Dimension, rate: WinRate) -> dict:
    return {
        "name": dimension.meaning.capitalize(),
        "rate": rate,
        "kind": {1: "better", -1: "worse", 0: ""}[rate.verdict],
    }


def _example(folder: Path, number: int, example: Example, names: tuple[str, str], judged: dict[str, Judged]) -> dict:
    sides = []
    for side, clip in enumerate((example.base, example.candidate)):
        # Not by the clip's id, which comes from a file and may be a path.
        file, fault = folder / f"{number:02}_{('base', 'candidate')[side]}.mp4", None
        try:
            with reading(clip.path):
                write_playable(clip.path, file)
        except ClipError as error:
            fault = str(error)
        scores = [{"judge": one.title, "cells": _cells(one, example, side)} for one in judged.values()]
        sides.append({"file": file.name, "fault": fault, "name": names[side], "scores": scores})
    return {"prompt": example.base.prompt, "seed": example.base.seed, "sides": sides}


def _cells(judged: Judged, example: Example, side: int) -> list[dict]:
    ids, marks = (example.base.id, example.candidate.id), (judged.base, judged.candidate)
    this, other = marks[side][ids[side]], marks[1 - side][ids[1 - side]]
    return [
        {"name": one.name, "value": this[one.name], "won": one.merit(this[one.name]) > one.merit(other[one.name])}
        for one in judged.dimensions
    ]
