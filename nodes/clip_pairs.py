"""Which clips of two or more sets belong together, and what they differ by. Nothing here imports ComfyUI."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import VideoAlignError
from ..reward.differences import differences, rate_row, verdict_line
from ..reward.dimensions import MEANING, OVERALL, VIDEO_REWARD_OVERALL
from ..reward.judge import Dimension
from ..reward.score_columns import is_panel
from ..reward.win_rates import win_rates
from .clip_verdict import verdict_on
from .scored_clip import ScoredClip, comparability_notes

Group = tuple[ScoredClip | None, ...]
"""Clips that are watched together, one of each set, in the order of the sets."""
# Of more sets only the first one is compared with each of the others: the pairs of sets grow with their square.
_MOST_WITH_EACH_OTHER = 6


@dataclass(frozen=True)
class ClipSet:
    """Clips of one setting: without the LoRA, say. A clip without marks is watched only."""

    name: str
    clips: tuple[ScoredClip, ...]


def named_sets(names: Sequence[str], clips: Sequence[Sequence[ScoredClip]]) -> list[ClipSet]:
    """Sets that have clips, each with a name of its own: what is empty or twice there becomes A, B, C.

    Raises:
        VideoAlignError: fewer than two have clips.
    """
    sets: list[ClipSet] = []
    for index, (name, some) in enumerate(zip(names, clips, strict=True)):
        if not some:
            continue
        letter = chr(ord("A") + index) if index < 26 else str(index + 1)
        text = name.strip() or letter
        sets.append(ClipSet(text if text not in [one.name for one in sets] else f"{text} ({letter})", tuple(some)))
    if len(sets) < 2:
        raise VideoAlignError(
            f"Compare Clips needs clips to compare: {'only ' + sets[0].name + ' has some' if sets else 'nothing is connected'}. "
            "Connect SCORES, a VIDEO or frames to both a and b."
        )
    return sets


def grouped(sets: Sequence[ClipSet]) -> tuple[list[Group], list[str]]:
    """Clips that belong together, in the order of the first set, and sentences about what does not.

    By prompt and seed where all clips have both and no two of a set the same; else by position.
    """
    tables = [{(clip.prompt, clip.seed): clip for clip in one.clips} for one in sets]
    known = all(clip.prompt and clip.seed is not None for one in sets for clip in one.clips)
    unique = all(len(table) == len(one.clips) for table, one in zip(tables, sets, strict=True))
    if known and unique:
        keys = [key for key in tables[0] if any(key in table for table in tables[1:])]
        if keys:
            groups = [tuple(table.get(key) for table in tables) for key in keys]
            return groups, _without_partner(sets, [sum(key not in keys for key in table) for table in tables])
    longest = sorted(len(one.clips) for one in sets)[-2]
    groups = [tuple(one.clips[place] if place < len(one.clips) else None for one in sets) for place in range(longest)]
    return groups, _without_partner(sets, [max(len(one.clips) - longest, 0) for one in sets])


def _without_partner(sets: Sequence[ClipSet], left: Sequence[int]) -> list[str]:
    return [
        f"{number} of {len(one.clips)} clips of {one.name} {'has' if number == 1 else 'have'} no counterpart and "
        f"{'is' if number == 1 else 'are'} left out."
        for one, number in zip(sets, left, strict=True)
        if number
    ]


def compared(sets: Sequence[ClipSet]) -> tuple[dict, list[Group]]:
    """What ``web/compare_view.js`` draws, JSON-ready and still without the clips' files, and the clips themselves.

    Raises:
        VideoAlignError: nothing can be put side by side.
    """
    groups, notes = grouped(sets)
    dimensions = _dimensions([clip for one in sets for clip in one.clips])
    several = len(sets) <= _MOST_WITH_EACH_OTHER
    chosen = itertools.combinations(range(len(sets)), 2) if several else ((0, other) for other in range(1, len(sets)))
    cells: list[dict] = [{} for _ in groups]
    comparisons = []
    for left, right in chosen:
        both = [(group[left], group[right]) for group in groups]
        for place, (base, candidate) in enumerate(both):
            cells[place][f"{left} {right}"] = [
                {**one, "name": one["name"].rpartition(".")[2]}
                for one in differences(dimensions, *_marks(base, candidate))
            ]
        comparisons.append(_over_all(sets, left, right, dimensions, both))
        notes += [note for note in _notes(both, sets[left].name, sets[right].name) if note not in notes]
    pairs = [
        {**_about(group), "clips": [clip and _shown(clip) for clip in group], "cells": cell}
        for group, cell in zip(groups, cells, strict=True)
    ]
    marked = next((clip for one in sets for clip in one.clips if clip.scores), None)
    measures = [
        {
            "name": one.name.rpartition(".")[2],
            "meaning": _meaning(one),
            "judge": _seat(marked, one.name) if marked else "",
        }
        for one in dimensions
    ]
    names = [one.name for one in sets]
    return {"names": names, "measures": measures, "comparisons": comparisons, "pairs": pairs, "notes": notes}, groups


def summary(shown: dict) -> str:
    """``compared`` as text: of each two sets the verdict and a line for each dimension, then the notes."""
    lines = []
    for one in shown["comparisons"]:
        lines.append(one["verdict"])
        if guard := one.get("guard"):
            lines.append(
                f"  {guard['outcome'].capitalize()}: {guard['sentence']}"
                if guard["outcome"]
                else f"  {guard['sentence']}"
            )
        for row in one["rows"]:
            interval = f" [{row['interval']}]" if row["interval"] else ""
            lines.append(f"  {row['name']}: mean {row['mean']}{interval}, won {row['won']}, {row['verdict']}")
    return "\n".join([*lines, *shown["notes"]])


def _over_all(
    sets: Sequence[ClipSet], left: int, right: int, dimensions: Sequence[Dimension], both: Sequence[Group]
) -> dict:
    names = sets[left].name, sets[right].name
    there = [(base, candidate) for base, candidate in both if base is not None and candidate is not None]
    marks = [_marks(*pair) for pair in there]
    rates = win_rates(
        dimensions, [one for one, _ in marks], [one for _, one in marks], [_prompt(*one) for one in there]
    )
    first = _seat(there[0][0], "") if there else ""  # of a panel's judges the first decides
    verdict = verdict_line(
        names, [one for one in dimensions if not first or _seat(there[0][0], one.name) == first], rates
    )
    if not verdict:
        scored = any(clip.scores for pair in there for clip in pair)
        verdict = "" if not there else (
            f"No mark is there of both {names[0]} and {names[1]}." if scored
            else "Without scores: connect SCORES of Score Video to see what they differ by."
        )  # fmt: skip
    rows = [rate_row(one, rates[one.name]) for one in dimensions if one.name in rates]
    guard = verdict_on([pair for pair in there if all(clip.scores for clip in pair)], names)
    shown = {"left": left, "right": right, "verdict": verdict, "rows": rows}
    return shown if guard is None else {**shown, "guard": guard}


def _marks(base: ScoredClip | None, candidate: ScoredClip | None) -> tuple[dict, dict]:
    """Marks of both, or none at all where they are not of one judge: their units are not the same."""
    if base is None or candidate is None or base.judge != candidate.judge:
        return {}, {}
    return dict(base.scores), dict(candidate.scores)


def _prompt(base: ScoredClip, candidate: ScoredClip) -> str:
    return base.prompt or candidate.prompt or ""


def _notes(both: Sequence[Group], left: str, right: str) -> Iterator[str]:
    """What a user should know before believing the differences."""
    found: dict[str, int] = {}
    there = [(base, candidate) for base, candidate in both if base is not None and candidate is not None]
    for base, candidate in there:
        scored = base.scores and candidate.scores
        notes = comparability_notes([base, candidate]) if scored else []
        if None not in (base.seed, candidate.seed) and base.seed != candidate.seed:
            notes.append(f"The seeds of {left} and {right} differ: a difference is partly luck.")
        for note in notes:
            found[note] = found.get(note, 0) + 1
    for note, number in found.items():
        yield note if number == len(there) else f"{note} (In {number} of {len(there)} pairs.)"


def _dimensions(clips: Sequence[ScoredClip]) -> list[Dimension]:
    """All that some clip has a mark for, an overall one last; of a panel's judges one after another, each with its overall one last."""
    found: dict[str, Dimension] = {}
    last: dict[str, Dimension] = {}
    seats: dict[str, int] = {}
    for clip in clips:
        named = {one.name: one for one in clip.dimensions}
        for name, mark in clip.scores.items():
            seats.setdefault(_seat(clip, name), len(seats))
            if mark is None:
                continue
            if name in named:
                found.setdefault(name, named[name])
            elif clip.overall is not None and name == clip.overall.name:
                last.setdefault(name, clip.overall)
            elif name == OVERALL and clip.unit == VIDEO_REWARD_OVERALL.unit:
                last.setdefault(name, VIDEO_REWARD_OVERALL)
            else:
                last.setdefault(name, Dimension(name, MEANING.get(name, name), clip.dimensions[0].unit))
    every = [*found.values(), *(one for name, one in last.items() if name not in found)]
    if not any(is_panel(clip.judge) for clip in clips):
        return every
    return sorted(every, key=lambda one: seats[one.name.rpartition(".")[0] or _seat(clips[0], one.name)])


def _seat(clip: ScoredClip, name: str) -> str:
    """Which judge of a panel a mark is of; "" where there is one judge."""
    return (name.rpartition(".")[0] or clip.judge.partition("+")[0]) if is_panel(clip.judge) else ""


def _meaning(dimension: Dimension) -> str:
    """What a mark is, its unit, and which way is better where that is not up."""
    unit = f", in {dimension.unit}" if dimension.unit else ""
    return f"{dimension.meaning}{unit}{'' if dimension.higher_is_better else '; less is better'}"


def _about(group: Group) -> dict:
    """Prompt and seed of a group; each only where all have the same."""
    clips = [clip for clip in group if clip is not None]
    about = {}
    for name in ("prompt", "seed"):
        values = {getattr(clip, name) for clip in clips}
        about[name] = values.pop() if len(values) == 1 else None
    return about


def _shown(clip: ScoredClip) -> dict:
    return {"name": clip.name, "seed": clip.seed, "model": clip.model, "fps": clip.fps, "frames": clip.total_frames}
