"""The comparison as a page: win rates with their intervals, what the judges disagree about, clips side by side."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...pages.render import write_page
from .judges import DIMENSIONS, Scores
from .matching import MadeClip
from .win_rates import WinRate

NAMES = {"VQ": "Visual quality", "MQ": "Motion quality", "TA": "Text alignment", "Overall": "Overall"}


@dataclass(frozen=True)
class Example:
    """One pair of clips to show, with each judge's scores of both."""

    base: MadeClip
    candidate: MadeClip


def write_comparison(
    folder: Path,
    names: tuple[str, str],
    tables: dict[str, dict[str, WinRate]],
    scores: dict[str, tuple[Scores, Scores]],
    examples: Sequence[Example],
    pairs: int,
) -> Path:
    """Write index.html and the clips that it shows into a folder.

    Args:
        names: of the base and of the candidate.
        tables: judge -> dimension -> win rate of the candidate.
        scores: judge -> scores of the base's and of the candidate's clips.
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
            {"judge": judge, "rows": [_row(name, table[name]) for name in DIMENSIONS]}
            for judge, table in tables.items()
        ],
        warnings=disagreements(tables),
        examples=[_example(clips, number, example, names, scores) for number, example in enumerate(examples, 1)],
    )


def disagreements(tables: dict[str, dict[str, WinRate]]) -> list[str]:
    """A sentence for each dimension in which one judge sees a clear gain and another a clear loss or no gain at all."""
    texts = []
    judges = list(tables)
    for name in DIMENSIONS:
        for judge in judges:
            for other in judges:
                first, second = tables[judge][name], tables[other][name]
                if first.verdict == 1 and second.verdict < 1 and second.rate <= 0.5:
                    what = "a loss" if second.verdict < 0 else "no gain"
                    texts.append(
                        f"{NAMES[name]}: {judge} sees a gain ({first.rate:.0%}), {other} {what} ({second.rate:.0%}). "
                        "The clips may have learnt to please the first judge: look at them."
                    )
    return texts


def _row(name: str, rate: WinRate) -> dict:
    return {"name": NAMES[name], "rate": rate, "kind": {1: "better", -1: "worse", 0: ""}[rate.verdict]}


def _example(
    folder: Path, number: int, example: Example, names: tuple[str, str], scores: dict[str, tuple[Scores, Scores]]
) -> dict:
    sides = []
    for side, clip in enumerate((example.base, example.candidate)):
        # Not by the clip's id, which comes from a file and may be a path.
        file = _shown(clip.path, folder / f"{number:02}_{('base', 'candidate')[side]}.mp4")
        judged = [{"judge": judge, "cells": _cells(both, example, side)} for judge, both in scores.items()]
        sides.append({"file": file.name, "name": names[side], "scores": judged})
    return {"prompt": example.base.prompt, "seed": example.base.seed, "sides": sides}


def _cells(both: tuple[Scores, Scores], example: Example, side: int) -> list[dict]:
    ids = (example.base.id, example.candidate.id)
    this, other = both[side][ids[side]], both[1 - side][ids[1 - side]]
    return [{"name": name, "value": this[name], "won": this[name] > other[name]} for name in DIMENSIONS]


def _shown(clip: Path, target: Path) -> Path:
    """The clip in a form that every browser plays: H.264 with halved colour. Clips of training quality are 4:4:4."""
    if clip.suffix.lower() == ".mp4" and not _is_444(clip):
        shutil.copyfile(clip, target)
        return target
    from ...clips.video_file import read_video, write_video

    frames, fps = read_video(clip)
    write_video(target, frames, fps, pixel_format="yuv420p")
    return target


def _is_444(clip: Path) -> bool:
    import av

    with av.open(str(clip)) as container:
        return "444" in (container.streams.video[0].codec_context.pix_fmt or "")
