"""Candidates ranked by marks of several judges: z-scores among them, dominance, and vetoes. Nothing here imports ComfyUI."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..errors import VideoAlignError
from ..reward.judge import Dimension
from ..reward.panel import lower_is_better
from ..reward.ranking import Standing, check_names, dominates, standings
from ..reward.weights import RewardWeights
from .ranked_clip import Gates, RankedClip
from .ranking_rules import BY_DOMINANCE, RankingRules
from .scored_clip import ScoredClip

MEASURES = "measures"


def places_by_z(
    clips: Sequence[ScoredClip], weights: RewardWeights, gates: Gates, rules: RankingRules
) -> tuple[list[RankedClip], dict[str, float], list[str]]:
    """The candidates in order (those that are out last), the weights that were used, and what a user should know.

    Raises:
        VideoAlignError: a weight or a gate names a mark that no clip has, or nothing that can be ranked by is left.
    """
    dimensions = {one.name: one for clip in clips for one in clip.all_dimensions}
    marks = [clip.scores for clip in clips]
    check_names(rules.weights, marks, "The weights of Ranking Rules")
    check_names([gate.name for gate in rules.gates], marks, "The gates of Ranking Rules")
    used, notes = _used(clips, weights, rules, dimensions)
    if rules.method == BY_DOMINANCE and rules.least_better > len(used):
        raise VideoAlignError(
            f"least_better is {rules.least_better}, but only {len(used)} marks have a weight: {', '.join(used)}. Lower it, or weigh more."
        )
    hacking, said = _hacking(clips, rules)
    notes += said
    vetoes = [(*gates.failed(clip), *reasons) for clip, reasons in zip(clips, hacking, strict=True)]
    stands = _standings(clips, vetoes, RewardWeights(used), rules, lower_is_better(dimensions.values()))
    rows = []
    for index, (clip, stand) in enumerate(zip(clips, stands, strict=True)):
        out = (*_explained(stand, clip, used), *vetoes[index])
        shares = RewardWeights(used).normalised()
        parts = {name: share * stand.z[name] for name, share in shares.items()} if stand.z else {}
        rows.append(RankedClip(clip, index, stand.total, None, out, parts, z=stand.z))
    lead = _net_dominance(stands, list(used), rules.least_better) if rules.method == BY_DOMINANCE else [0] * len(rows)
    inside = sorted(
        (row for row in rows if not row.gate_failures),
        key=lambda row: (-lead[row.index], -(row.total or 0.0), row.index),
    )
    outside = sorted(
        (row for row in rows if row.gate_failures),
        key=lambda row: (len(row.gate_failures), -(row.total if row.total is not None else -math.inf), row.index),
    )
    if rules.method == BY_DOMINANCE:
        notes.append(
            f"Ranked by dominance: the more candidates a clip is better than in at least {rules.least_better} of {len(used)} marks, less those "
            "that are better than it, the higher; equal ones by the weighted z-scores."
        )
    return [*inside, *outside], RewardWeights(used).normalised(), notes


def _standings(
    clips: Sequence[ScoredClip],
    vetoes: Sequence[Sequence[str]],
    weights: RewardWeights,
    rules: RankingRules,
    lower: Sequence[str],
) -> list[Standing]:
    """Those of the clips without a veto among each other; of the others only what else puts them out."""
    sides = [
        iter(
            standings(
                [clip.scores for clip, some in zip(clips, vetoes, strict=True) if bool(some) == out],
                weights,
                rules.gates,
                lower,
            )
        )
        for out in (False, True)
    ]
    return [Standing({}, None, next(sides[1]).out) if some else next(sides[0]) for some in vetoes]


def _used(
    clips: Sequence[ScoredClip], weights: RewardWeights, rules: RankingRules, dimensions: Mapping[str, Dimension]
) -> tuple[dict[str, float], list[str]]:
    """The weights above 0 of marks that can be compared. One of Reward Weights that lacks a caption is left out, as ever; what
    Ranking Rules names stays, and a clip without it is out."""
    given = {name for clip in clips for name, mark in clip.scores.items() if mark is not None}
    asked = {**weights.values, **rules.weights}
    used = {name: value for name, value in asked.items() if value and name in given}
    without = [
        name
        for name in used
        if name not in rules.weights and any(clip.score(name) is None and clip.refusal(name) is None for clip in clips)
    ]
    notes = []
    if without or any(value and name in dimensions and name not in given for name, value in weights.values.items()):
        left = [name for name in used if name not in without]
        if left:
            notes.append(f"Not all clips have a caption: ranked by {', '.join(left)} alone.")
            used = {name: used[name] for name in left}
    if used:
        return used, notes
    if any(rules.weights.values()) or any(value and name in dimensions for name, value in weights.values.items()):
        raise VideoAlignError(
            f"All the weight is on {', '.join(name for name, value in asked.items() if value)}, for which there is no mark here. "
            f"Marks are: {', '.join(sorted(given)) or 'none'}."
        )
    alike = [name for name in dimensions if name in given and all(clip.score(name) is not None for clip in clips)]
    if not alike:
        raise VideoAlignError("The clips have no mark that all of them have. Score them by the same judges.")
    if len(alike) > 1:
        notes.append(f"No mark has a weight: all {len(alike)} count alike. Ranking Rules says which should count.")
    return dict.fromkeys(alike, 1.0), notes


def _explained(stand: Standing, clip: ScoredClip, used: Mapping[str, float]) -> list[str]:
    """Why a candidate is out; of marks that a judge refused, its words once."""
    refused = {name: cause for name in used if clip.score(name) is None and (cause := clip.refusal(name))}
    reasons = [reason for reason in stand.out if reason not in {f"it has no {name}" for name in refused}]
    for cause in dict.fromkeys(refused.values()):
        names = ", ".join(name for name, one in refused.items() if one == cause)
        reasons.append(f"it has no {names}: {cause}")
    return reasons


def _hacking(clips: Sequence[ScoredClip], rules: RankingRules) -> tuple[list[tuple[str, ...]], list[str]]:
    nobody: list[tuple[str, ...]] = [() for _ in clips]
    if not rules.hacking_gate:
        return nobody, []
    prefixes = [f"{MEASURES}."] if any(f"{MEASURES}.motion" in clip.scores for clip in clips) else []
    if all(clip.judge == MEASURES for clip in clips):
        prefixes = [""]
    if not prefixes:
        return nobody, ["The gate against hacking needs measurements: join Measurements to the reward with Panel."]
    from ..reward.guard.candidates import LEAST_CANDIDATES, clearly_worse

    if len(clips) < LEAST_CANDIDATES:
        return nobody, [f"The gate against hacking needs {LEAST_CANDIDATES} candidates or more; it is off."]
    return clearly_worse([clip.scores for clip in clips], rules.hacking_gate, prefixes[0]), []


def _net_dominance(stands: Sequence[Standing], names: Sequence[str], least: int) -> list[int]:
    """How many others each candidate dominates, less how many dominate it."""
    return [
        sum(dominates(one, other, names, least) - dominates(other, one, names, least) for other in stands if other.z)
        if one.z
        else 0
        for one in stands
    ]
