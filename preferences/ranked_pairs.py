"""Pairs of scored clips by marks of any judges: weighted z-scores or dominance, behind gates (``reward.ranking``)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from ..errors import PreferenceFileError
from ..reward.dimensions import DIMENSIONS, OVERALL, RATED
from ..reward.gates import Gate
from ..reward.ranking import Standing, check_names, dominates, standings
from ..reward.weights import RewardWeights
from .importers.scored_clips import ScoredClip, furthest_apart, source_columns
from .preference_file import PreferencePair, Source, pair_of_sides


@dataclass(frozen=True)
class Rule:
    """Which clips of a prompt make a pair, and which of the two is chosen.

    Attributes:
        pairing: best_worst, margin, all (by ``weights``) or dominance (by ``dominate``).
        weights: of the marks whose z-scores are added; None is allowed for dominance alone, whose marks then count alike.
        gates: what a clip must keep to to be in any pair.
        dominate: the marks of which the chosen clip must be better in ``least``.
        least: how many of them; None: all.
        margin: least lead, in standard deviations: of the weighted z-scores, or of each mark that counts for dominance.
        gaps: least lead in a mark, in its own unit; negative: a loss that is put up with.
        pairs_per_prompt: at most so many, those with the largest lead of the weighted z-scores; None: all.
    """

    pairing: str = "best_worst"
    weights: RewardWeights | None = None
    gates: tuple[Gate, ...] = ()
    dominate: tuple[str, ...] = ()
    least: int | None = None
    margin: float = 0.0
    gaps: Mapping[str, float] | None = None
    pairs_per_prompt: int | None = None

    def __post_init__(self) -> None:
        if self.pairing == "dominance" and not self.dominate:
            object.__setattr__(self, "dominate", DIMENSIONS)
        if self.least is not None and not 1 <= self.least <= len(self.dominate):
            raise ValueError(f"least is {self.least}; of {len(self.dominate)} marks it is at least 1 and at most all")

        if self.weights is None and self.pairing != "dominance":
            raise ValueError(f"pairing {self.pairing} needs weights")

    @property
    def ranking(self) -> RewardWeights:
        """The weights, or those that stand in for them."""
        return self.weights or RewardWeights(dict.fromkeys(self.dominate, 1.0))

    @property
    def names(self) -> set[str]:
        """All marks that it asks for."""
        weighted = {name for name, weight in self.ranking.values.items() if weight}
        return weighted | {gate.name for gate in self.gates} | set(self.dominate) | set(self.gaps or {})


def pairs_by_rule(clips: Iterable[ScoredClip], rule: Rule) -> list[PreferencePair]:
    """Pairs of clips with the same prompt, in the order in which the prompts first occur.

    The pair's label Overall says who is chosen, and its Overall scores are the weighted z-scores (none under dominance). A clip
    that a gate stops, or that lacks a mark that the rule asks for, is in no pair; how many these are is told on standard error.

    Raises:
        VideoAlignError: no clip has a mark that the rule names.
    """
    by_prompt: dict[str, list[ScoredClip]] = {}
    for clip in clips:
        by_prompt.setdefault(clip.prompt, []).append(clip)
    everybody = [clip for group in by_prompt.values() for clip in group]
    check_names(sorted(rule.names), [clip.scores for clip in everybody], "The rule of the pairs")
    pairs, out = [], []
    for group in by_prompt.values():
        shared = [name for name in RATED if all(name in clip.scores for clip in group)]
        lower = frozenset(name for clip in group for name in clip.lower_is_better)
        asked = [*rule.dominate, *(rule.gaps or {})]
        rows = standings([clip.scores for clip in group], rule.ranking, rule.gates, lower, [*asked, *shared])
        out += [f"{clip.path}: {'; '.join(row.out)}" for clip, row in zip(group, rows, strict=True) if row.out]
        inside = [(clip, row) for clip, row in zip(group, rows, strict=True) if not row.out]
        pairs += [_pair(rule, *couple, shared) for couple in _clearest(rule, _couples(rule, inside, lower))]
    _tell(out, len(everybody))
    return pairs


def passing(clips: Iterable[ScoredClip], gates: Iterable[Gate]) -> list[ScoredClip]:
    """The clips that pass all gates; how many do not is told on standard error.

    Raises:
        VideoAlignError: none does, or no clip has a mark that a gate names.
    """
    clips, gates = list(clips), list(gates)
    check_names([gate.name for gate in gates], [clip.scores for clip in clips], "The gates")
    failures = [[reason for gate in gates if (reason := gate.failure(clip.scores))] for clip in clips]
    out = [f"{clip.path}: {'; '.join(reasons)}" for clip, reasons in zip(clips, failures, strict=True) if reasons]
    _tell(out, len(clips))
    return [clip for clip, reasons in zip(clips, failures, strict=True) if not reasons]


def _tell(out: list[str], of: int) -> None:
    if out and len(out) == of:
        raise PreferenceFileError(f"No clip is left for a pair. {out[0]}. Ease the gates, or score the clips again.")
    if out:
        print(f"{len(out)} of {of} clips are in no pair. {out[0]}", file=sys.stderr)


Placed = tuple[ScoredClip, Standing]
Couple = tuple[Placed, Placed]


def total(one: Placed) -> float:
    """The weighted z-scores of a clip that is in."""
    return one[1].total or 0.0


def _clearest(rule: Rule, couples: Iterable[Couple]) -> Iterable[Couple]:
    if rule.pairs_per_prompt is None:
        return couples
    return furthest_apart(couples, lambda couple: total(couple[0]) - total(couple[1]), rule.pairs_per_prompt)


def _couples(rule: Rule, group: list[Placed], lower: frozenset[str]) -> Iterator[Couple]:
    """Couples to be paired, the better one first; one at a time, since they are as many as the square of the clips."""
    couples: Iterable[Couple]
    if rule.pairing == "dominance":
        least = rule.least or len(rule.dominate)
        either = ((a, b) for first, second in combinations(group, 2) for a, b in ((first, second), (second, first)))
        couples = ((a, b) for a, b in either if dominates(a[1], b[1], rule.dominate, least, rule.margin))
    elif rule.pairing == "best_worst":
        # max and min take the first of equals.
        couples = [(max(group, key=total), min(group, key=total))] if len(group) > 1 else []
    else:
        couples = combinations(group, 2)

    def wide(a: Placed, b: Placed) -> bool:
        if rule.pairing != "dominance" and not total(a) - total(b) > rule.margin:
            return False
        gaps = (rule.gaps or {}).items()
        return all((-1 if name in lower else 1) * (a[0].scores[name] - b[0].scores[name]) >= gap for name, gap in gaps)

    for a, b in couples:
        better, worse = (a, b) if total(a) >= total(b) or rule.pairing == "dominance" else (b, a)
        if rule.pairing == "all" or wide(better, worse):
            yield better, worse


def _pair(rule: Rule, chosen: Placed, rejected: Placed, shared: list[str]) -> PreferencePair:
    (a, first), (b, second) = chosen, rejected
    marks = [{name: mark for name, mark in clip.scores.items() if name != OVERALL} for clip in (a, b)]
    labels = {name: _label(first.z[name] - second.z[name], rule.margin) for name in shared if name != OVERALL}
    labels[OVERALL] = "same" if rule.pairing == "all" and total(chosen) - total(rejected) <= rule.margin else "A"
    if rule.pairing != "dominance":  # whose chosen clip may lose in the sum
        marks = [{**own, OVERALL: total(one)} for own, one in zip(marks, (chosen, rejected), strict=True)]
    return pair_of_sides(
        a.path,
        b.path,
        labels,
        scores_a=marks[0],
        scores_b=marks[1],
        prompt=a.prompt,
        source=Source(format="ranked_clips", columns=source_columns(a, b)),
    )


def _label(lead: float, margin: float) -> str:
    return "same" if abs(lead) <= margin else "A" if lead > 0 else "B"
