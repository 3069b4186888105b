"""Accuracies of one reward over the pairs of a benchmark, by dimension and by group of pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...errors import VideoAlignError
from ...reward.agreement import Agreement, label_values, measure_agreement
from .pairs import SIDES, SPELLINGS, BenchClip, BenchPair
from .protocol import Protocol

Accuracies = dict[str, Agreement]
"""By label: VQ, MQ, TA, Overall."""


@dataclass(frozen=True)
class Failure:
    """A clip without usable scores, and where the file names it."""

    clip: BenchClip
    path: str
    where: tuple[str, ...]
    error: str


@dataclass(frozen=True)
class Comparison:
    """Pairs with scores on both sides, and what had to be left out."""

    pairs: list[BenchPair]
    scores: Mapping[BenchClip, Mapping[str, float]]
    labels: tuple[str, ...]
    """Those that are measured: people gave them and the reward has the score."""
    not_scored: tuple[str, ...]
    """Those that people gave and the reward does not score."""
    failures: list[Failure]
    left_out: int


@dataclass(frozen=True)
class Measurement:
    """What a benchmark says of a reward. ``groups`` is empty unless the pairs fall into several."""

    comparison: Comparison
    accuracies: Accuracies
    grouped_by: str | None = None
    groups: dict[str, Accuracies] = field(default_factory=dict)


def compare(pairs: Sequence[BenchPair], results: Mapping[BenchClip, Mapping], protocol: Protocol) -> Comparison:
    """Bring scores and labels together; a pair of which a clip has no scores is left out.

    Args:
        results: by clip its scores by dimension, or an "error"; None scores do not exist.

    Raises:
        VideoAlignError: nothing is left to measure.
    """
    given = [
        label for label in protocol.score_of if any(pair.labels.get(label, "invalid") != "invalid" for pair in pairs)
    ]
    if not given:
        raise VideoAlignError(
            f"No pair has a label of {protocol.title} ({', '.join(protocol.score_of)}); found "
            f"{', '.join(sorted({name for pair in pairs for name in pair.labels})) or 'none'}. Choose another --protocol."
        )
    scores = {
        clip: {
            dimension.name: dimension.merit(result[dimension.name])
            for dimension in protocol.scores
            if result.get(dimension.name) is not None
        }
        for clip, result in results.items()
        if "error" not in result
    }
    known = {name for marks in scores.values() for name in marks}
    labels = tuple(label for label in given if protocol.score_of[label] in known)
    if scores and not labels:
        raise VideoAlignError(
            f"There are scores for {', '.join(sorted(known)) or 'nothing'}; {protocol.title} needs "
            f"{' or '.join(protocol.score_of[label] for label in given)}."
        )
    needed = {protocol.score_of[label] for label in labels}
    failures = _failures(pairs, results, scores, needed)
    whole = [pair for pair in pairs if not any(clip in failures for clip in pair.clips)]
    if not whole:
        first = next(iter(failures.values()))
        raise VideoAlignError(f"No pair has scores for both clips. {first.where[0]}, {first.path}: {first.error}")
    not_scored = tuple(label for label in given if label not in labels)
    return Comparison(whole, scores, labels, not_scored, list(failures.values()), len(pairs) - len(whole))


def _failures(
    pairs: Sequence[BenchPair], results: Mapping[BenchClip, Mapping], scores: Mapping, needed: set[str]
) -> dict[BenchClip, Failure]:
    failures: dict[BenchClip, Failure] = {}
    for pair in pairs:
        for side, clip, path in zip(SIDES, pair.clips, pair.paths, strict=True):
            lacking = needed - scores.get(clip, {}).keys()
            if clip in scores and not lacking:
                continue
            where = f"{pair.where}, {side}"
            if clip in failures:
                failures[clip] = replace(failures[clip], where=(*failures[clip].where, where))
                continue
            error = "it has no scores." if clip not in scores else f"it has no score for {', '.join(sorted(lacking))}."
            failures[clip] = Failure(clip, path, (where,), results.get(clip, {}).get("error", error))
    return failures


def measure(comparison: Comparison, protocol: Protocol, group_by: str = "auto", **options: Any) -> Measurement:
    """All accuracies. Intervals resample prompts, since pairs of one prompt share their clips and their difficulty.

    Args:
        group_by: a column of the file, or one that each side has ("model" for A_model and B_model; a pair then counts
            for both sides' values); "auto": generation if there is one, else model; "none".
        options: confidence, resamples and seed of ``measure_agreement``.

    Raises:
        VideoAlignError: the file has no such column.
    """
    accuracies = _accuracies(comparison, comparison.pairs, protocol, options)
    column = _column(comparison.pairs, group_by)
    if column is None:
        return Measurement(comparison, accuracies)
    members: dict[str, list[BenchPair]] = {}
    for pair in comparison.pairs:
        for value in pair.groups(column):
            members.setdefault(value, []).append(pair)
    groups = {value: _accuracies(comparison, members[value], protocol, options) for value in sorted(members)}
    return Measurement(comparison, accuracies, column, groups)


def differences(comparison: Comparison, pairs: Sequence[BenchPair], score: str) -> list[float]:
    """Score of A minus score of B."""
    return [comparison.scores[pair.a][score] - comparison.scores[pair.b][score] for pair in pairs]


def _accuracies(comparison: Comparison, pairs: Sequence[BenchPair], protocol: Protocol, options: dict) -> Accuracies:
    accuracies = {}
    for label in comparison.labels:
        values = label_values(pair.labels.get(label, "invalid") for pair in pairs)
        if any(value == value for value in values):  # not all NaN
            accuracies[label] = measure_agreement(
                values,
                differences(comparison, pairs, protocol.score_of[label]),
                [pair.prompt for pair in pairs],
                **options,
            )
    return accuracies


def _column(pairs: Sequence[BenchPair], group_by: str) -> str | None:
    if group_by == "none":
        return None
    if group_by == "auto":
        for name in ("generation", "model"):
            if len({value for pair in pairs for value in pair.groups(name)}) > 1:
                return name
        return None
    if not any(pair.groups(group_by) for pair in pairs):
        columns = {name for pair in pairs for name in pair.columns}
        both = [spelling.format(name=group_by, side="A") for spelling in SPELLINGS]
        raise VideoAlignError(
            f"--group-by {group_by}: the file has no column {group_by} nor {' or '.join(both)}; found "
            f"{', '.join(sorted(columns)) or 'no columns besides clips, prompt and labels'}."
        )
    return group_by
