"""Which clips of a score file are kept, and why the others are not."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ...reward.gates import Gate
from ...reward.z_scores import best_share, weighted_z_within
from .score_file import FilterError, ScoredRow, ScoreFile
from .weights_by_column import parse_weighted_column

Within = Literal["prompt", "all"]
FAILED, MISSING, NOT_BEST = "no scores", "the file is missing", "not among the best"
"""Kinds of reasons; every other kind is a gate."""


@dataclass(frozen=True)
class Reason:
    """Why a clip is dropped: what kind of reason it is, for counting, and a sentence's part about this clip."""

    kind: str
    text: str


@dataclass(frozen=True)
class Choice:
    """A row, and what became of it.

    Attributes:
        row: it.
        reasons: why it is dropped; none where it is kept.
        total: what it was ranked by, more is better; None where it was not ranked.
    """

    row: ScoredRow
    reasons: tuple[Reason, ...] = ()
    total: float | None = None

    @property
    def kept(self) -> bool:
        """Whether it is."""
        return not self.reasons


@dataclass(frozen=True)
class Ranking:
    """How the best are found.

    Attributes:
        share: of the clips of a prompt, or of all, that pass the gates; above 0, up to 1.
        weights: by column, in a sum of z-scores.
        within: the clips that are compared.
        lower: columns of which less is better: their weights count against them.
    """

    share: float
    weights: Mapping[str, float]
    within: Within
    lower: frozenset[str] = frozenset()

    def __str__(self) -> str:
        parts = [
            f"{'' if weight == 1 else f'{weight:g} '}{name}{' (less is better)' if name in self.lower else ''}"
            for name, weight in self.weights.items()
        ]
        where = "each prompt" if self.within == "prompt" else "all"
        return f"the best {100 * self.share:.3g} % of {where} by {' + '.join(parts)}"


def ranking_of(file: ScoreFile, by: Sequence[str], share: float, within: Within) -> Ranking:
    """By the columns that a user named; by Overall, or the only one, where none is named.

    Raises:
        FilterError: a column is not there, is named twice, or has to be named.
    """
    if not by:
        marks = [name for name in file.columns if name == "Overall"] or list(file.columns)
        if len(marks) != 1:
            raise FilterError(f"{file.path}: name what is best with --by; its columns are {', '.join(file.columns)}.")
        by = marks
    weights: dict[str, float] = {}
    for name, weight in map(parse_weighted_column, by):
        column = file.column(name)
        if column in weights:
            raise FilterError(f"--by names {column} twice.")
        weights[column] = weight
    return Ranking(share, weights, within, frozenset(name for name in weights if file.less_is_better(name)))


def choose(file: ScoreFile, gates: Sequence[Gate], ranking: Ranking | None) -> list[Choice]:
    """What becomes of each row, in the file's order.

    A row without scores or without its clip is dropped for that; the others for every gate that they do not pass; of those that
    pass, only the best share is kept.

    Raises:
        FilterError: a gate's column is not there.
        TableError: a cell that is looked at is no number.
    """
    gates = [replace(gate, name=file.column(gate.name)) for gate in gates]
    choices = [Choice(row, _reasons(row, gates, ranking)) for row in file.rows]
    if ranking is None:
        return choices
    indices = [index for index, choice in enumerate(choices) if choice.kept]
    rows = [choices[index].row for index in indices]
    values = [{name: row.value(name) or 0.0 for name in ranking.weights} for row in rows]
    signed = {name: -weight if name in ranking.lower else weight for name, weight in ranking.weights.items()}
    groups = [row.prompt if ranking.within == "prompt" else None for row in rows]
    totals = weighted_z_within(values, signed, groups)
    best = best_share(totals, ranking.share, groups)
    sizes = Counter(groups)
    places = _places(totals, groups)
    for number, index in enumerate(indices):
        reasons: tuple[Reason, ...] = ()
        if number not in best:
            of = f"{sizes[groups[number]]} of this prompt" if ranking.within == "prompt" else str(len(indices))
            reasons = (Reason(NOT_BEST, f"number {places[number]} of {of}"),)
        choices[index] = Choice(rows[number], reasons, totals[number])
    return choices


def _reasons(row: ScoredRow, gates: Sequence[Gate], ranking: Ranking | None) -> tuple[Reason, ...]:
    if row.error is not None:
        return (Reason(FAILED, row.error),)
    if not os.path.isfile(row.file):
        return (Reason(MISSING, f"there is no {row.file}"),)
    failures = [(f"not {gate}", gate.failure({gate.name: row.value(gate.name)})) for gate in gates]
    reasons = [Reason(kind, text) for kind, text in failures if text is not None]
    if not reasons and ranking is not None:
        lacking = [name for name in ranking.weights if row.value(name) is None]
        reasons = [Reason(FAILED, f"it has no {name}") for name in lacking]
    refused = row.refusals()
    if refused and any("it has no" in reason.text for reason in reasons):
        reasons.append(Reason(FAILED, refused))
    return tuple(reasons)


def _places(totals: Sequence[float], groups: Sequence[object]) -> list[int]:
    """The place of each in its group, from 1; equal ones in their order."""
    places, seen = [0] * len(totals), {group: 0 for group in groups}
    for index in sorted(range(len(totals)), key=lambda index: -totals[index]):
        seen[groups[index]] += 1
        places[index] = seen[groups[index]]
    return places
