"""Plain scored clips, as `videoalign score` writes them, turned into pairs of clips that share a prompt.

CSV, JSON or JSONL with the columns path, prompt and one or more of VQ, MQ, TA, Overall (numbers; id is optional). All
three of VQ, MQ, TA without an Overall give their sum as Overall, as VideoReward does. Clips are ranked by the score of
one `dimension`, or by the mean of several under `weights` (linear scalarisation). Which clips are paired:

    margin       every two clips whose ranking scores differ by more than `margin`
    best_worst   per prompt the best against the worst clip, if they differ by more than `margin`
    dominance    every two clips of which one is better by more than `margin` in each of VQ, MQ and TA
    all          every two clips, also those that count as a tie

Files of other judges, and of several (`reward.panel`), have marks of other names; `preferences.ranked_pairs` pairs by these. A clip that lacks
a mark, because its judge refused it, keeps its others.

`gaps` asks more of the first three: the least lead that the chosen clip must have in a dimension (a negative one
permits so much of a loss). In each pair a dimension's label is "same" where the scores differ by `margin` or less.
"""

from __future__ import annotations

import heapq
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

from ...errors import PreferenceFileError
from ...files.portable_paths import plain_path, table_path
from ...files.tables import Row, read_table
from ...reward.dimensions import DIMENSIONS, RATED
from ...reward.score_columns import LOWER, is_panel, lower_is_better, mark_names
from ...reward.weights import RewardWeights
from ..preference_file import PreferencePair, Preferences, Source, pair_of_sides

T = TypeVar("T")
PAIRINGS = ("margin", "best_worst", "dominance", "all")


@dataclass(frozen=True)
class ScoredClip:
    """One clip with its scores by mark, in the judge's unit (VideoReward: standard deviations)."""

    path: str
    prompt: str
    scores: dict[str, float] = field(default_factory=dict)
    id: str | None = None
    lower_is_better: frozenset[str] = frozenset()


def read_scored_clips(path: Path) -> list[ScoredClip]:
    """The clips of a score file, which must have a number in each of its columns VQ, MQ, TA, Overall in every row; but a panel's rows
    lack the marks of a judge that refused the clip.

    Rows that carry an error instead, as ``videoalign score`` leaves them for clips that failed, are told and left out. A row that says
    again what another one says of the same clip and prompt counts once; one that contradicts it is refused.
    """
    table = read_table(path, ("path", "prompt", "id", "error", "judge", LOWER, *RATED))
    table.require(("path", "prompt"))
    # Not only of the first row: that of a clip that failed has no scores.
    rated = [dimension for dimension in RATED if any(dimension in row.cells for row in table)]
    clips: dict[tuple[str, str], ScoredClip] = {}
    first: dict[tuple[str, str], Row] = {}
    failed = []
    for row in table:
        if row.has("error"):
            failed.append(f"{row.where}: {row.value('error')}")
            continue
        clip = _clip(row, rated)
        name = plain_path(clip.path), clip.prompt
        if clips.setdefault(name, clip).scores != clip.scores:
            raise row.error(
                "path",
                f"row {first[name].number} has other scores of {clip.path} with the same prompt. Keep one of them.",
            )
        first.setdefault(name, row)
    if clips and not any(clip.scores for clip in clips.values()):
        raise PreferenceFileError(
            f"{path}: no score column; expected one or more of {', '.join(RATED)}, found {', '.join(table.columns)}."
        )
    if failed and not clips:
        raise PreferenceFileError(f"{path}: no clip has scores. {failed[0]}")
    if failed:
        print(f"{len(failed)} of {len(table.rows)} clips have no scores and are left out. {failed[0]}", file=sys.stderr)
    return list(clips.values())


def _clip(row: Row, rated: Sequence[str]) -> ScoredClip:
    """A row's clip; ``rated``: which of VQ, MQ, TA, Overall the file has."""
    judge = row.text_or_none("judge")
    scores = {}
    for name in rated:
        score = row.number_in(name) if name in row.cells or not is_panel(judge) else None
        if score is not None:
            scores[name] = score
        elif not is_panel(judge):
            raise row.error(name, "no score; the clip was not scored. Score it again or remove the row.")
    if "Overall" not in scores and all(name in scores for name in DIMENSIONS):
        scores["Overall"] = scores["VQ"] + scores["MQ"] + scores["TA"]
    scores |= {name: float(row.cells[name]) for name in mark_names(row.cells, judge) if name not in RATED}
    lower = lower_marks(row) & scores.keys()
    return ScoredClip(row.text("path"), row.text("prompt"), scores, row.text_or_none("id"), lower)


def lower_marks(row: Row) -> frozenset[str]:
    """Names of a row's marks of which less is better: a panel's row says so; of single judges' files, the measurements' are known."""
    if row.text_or_none("judge") != "measures":
        return lower_is_better(row.cells)
    from ...measures.clip_measures import DIMENSIONS as MEASURED

    return frozenset(one.name for one in MEASURED if not one.higher_is_better)


def clips_folder(scores: Path, paths: Iterable[str]) -> Path:
    """The folder that relative paths of a score file start from: its own, or the current one, from which 0.1.0 wrote them.

    The current one is taken where more of the clips are found from there.
    """
    beside, here, texts = scores.parent, Path(), list(paths)
    found = {folder: sum(os.path.isfile(table_path(folder, text)) for text in texts) for folder in (beside, here)}
    return here if found[here] > found[beside] else beside


def _label(a: float, b: float, margin: float) -> str:
    return "same" if abs(a - b) <= margin else "A" if a > b else "B"


def pair_clips(
    clips: Iterable[ScoredClip],
    *,
    pairing: str = "margin",
    dimension: str = "Overall",
    weights: Mapping[str, float] | None = None,
    margin: float = 0.0,
    gaps: Mapping[str, float] | None = None,
    source_format: str = "scored_clips",
    most: int | None = None,
) -> list[PreferencePair]:
    """Pairs of clips with the same prompt, in the order in which the prompts first occur; see the module.

    `margin` >= 0 and `gaps` are in the scores' unit; `weights` (0 or more, not all 0) are divided by their sum. Clips
    without a score in a dimension that ranks or gates are paired by "all" only. With `most`, a prompt's pairs are those so
    many whose clips rank furthest apart, and no others are made; not with "all", whose clips need no rank.
    """
    _check(pairing, dimension, weights, margin, gaps or {})
    ranking = RewardWeights({dimension: 1.0} if weights is None else weights)
    shares = {name: weight for name, weight in ranking.as_given().items() if weight}
    needed = {*shares, *(gaps or {}), *(DIMENSIONS if pairing == "dominance" else ())}

    ranks: dict[int, float] = {}

    def rank(clip: ScoredClip) -> float:
        if id(clip) not in ranks:
            ranks[id(clip)] = ranking.scalar(clip.scores)
        return ranks[id(clip)]

    def kept(a: ScoredClip, b: ScoredClip) -> bool:
        better, worse = (a, b) if rank(a) >= rank(b) else (b, a)
        lead = {name: better.scores[name] - worse.scores[name] for name in needed}
        if pairing == "dominance":
            wide = all(lead[name] > margin for name in DIMENSIONS)
        else:
            wide = rank(better) - rank(worse) > margin
        return wide and all(lead[name] >= gap for name, gap in (gaps or {}).items())

    clips = list(clips)  # alive together: ``ranks`` goes by identity
    by_prompt: dict[str, list[ScoredClip]] = {}
    for clip in clips:
        by_prompt.setdefault(clip.prompt, []).append(clip)
    pairs = []
    for prompt, group in by_prompt.items():
        couples: Iterable[tuple[ScoredClip, ScoredClip]]
        if pairing == "all":
            couples = combinations(group, 2)
        else:
            rated = [clip for clip in group if needed <= clip.scores.keys()]
            if pairing == "best_worst" and len(rated) > 1:
                # max and min take the first of equals, so two clips of one score do not depend on the sort.
                couples = [(max(rated, key=rank), min(rated, key=rank))]
            else:
                if pairing == "margin" and most is not None and not gaps:
                    rated = _outermost(rated, rank, most)
                couples = combinations(rated, 2)
            couples = ((a, b) if rank(a) >= rank(b) else (b, a) for a, b in couples if kept(a, b))
            if most is not None:
                couples = furthest_apart(couples, lambda couple: rank(couple[0]) - rank(couple[1]), most)
        for a, b in couples:
            pair = _pair(a, b, prompt, margin, source_format)
            pairs.append(pair if pairing == "all" or pair.chosen == a.path else pair.swapped())
    return pairs


def furthest_apart(couples: Iterable[T], lead: Callable[[T], float], most: int) -> list[T]:
    """The ``most`` couples of the largest lead (of equal ones the first), in the order given; never more than these in memory.

    The couples of a prompt are as many as half the square of its clips, and making a pair takes seventy times as long as ranking it.
    """
    # By place too: what is compared must never be the clips.
    ranked = heapq.nsmallest(most, ((-lead(couple), place, couple) for place, couple in enumerate(couples)))
    return [couple for _, _, couple in sorted(ranked, key=lambda one: one[1])]


def _outermost(clips: list[ScoredClip], rank: Callable[[ScoredClip], float], most: int) -> list[ScoredClip]:
    """The clips, in their order, that the ``most`` couples furthest apart are made of.

    A clip with ``most`` below it and ``most`` above it is in none: exchanging it for each of those gives as many that are further apart.
    """
    if len(clips) <= 2 * most:
        return clips
    ordered = sorted(map(rank, clips))
    low, high = ordered[most - 1], ordered[-most]
    return [clip for clip in clips if rank(clip) <= low or rank(clip) >= high]


def _check(
    pairing: str, dimension: str, weights: Mapping[str, float] | None, margin: float, gaps: Mapping[str, float]
) -> None:
    if pairing not in PAIRINGS:
        raise ValueError(f"pairing {pairing!r} is unknown; choose one of {', '.join(PAIRINGS)}.")
    for name in (dimension, *(weights or {}), *gaps):
        if name not in RATED:
            raise ValueError(f"dimension {name!r} is unknown; choose one of {', '.join(RATED)}.")
    if weights is not None and (min(weights.values(), default=0) < 0 or not sum(weights.values()) > 0):
        raise ValueError(f"weights must be 0 or more and not all 0 (found {dict(weights)}).")
    if not margin >= 0:
        raise ValueError(f"margin must be 0 or more (found {margin}).")


def _pair(a: ScoredClip, b: ScoredClip, prompt: str, margin: float, source_format: str) -> PreferencePair:
    shared = [name for name in RATED if name in a.scores and name in b.scores]
    labels = {name: _label(a.scores[name], b.scores[name], margin) for name in shared}
    if (a.scores or b.scores) and not any(name in a.scores or name in b.scores for name in RATED):
        labels["Overall"] = "invalid"  # other marks do not say who is better all in all; a pair without labels would
    return pair_of_sides(
        a.path,
        b.path,
        labels,
        scores_a=a.scores,
        scores_b=b.scores,
        prompt=prompt,
        source=Source(format=source_format, columns=source_columns(a, b)),
    )


def source_columns(a: ScoredClip, b: ScoredClip) -> dict[str, Any]:
    """What a pair keeps of the rows of its clips: their ids, and which marks are the better the lower."""
    ids = {name: clip.id for name, clip in (("id_A", a), ("id_B", b)) if clip.id is not None}
    lower = sorted(a.lower_is_better | b.lower_is_better)
    return {**ids, **({LOWER: lower} if lower else {})}


def read_scored_pairs(path: Path, root: Path | None = None, **pairing) -> Preferences:
    """The pairs that `pair_clips` makes of a score file; keyword arguments go to it. No pair at all is an error."""
    path = Path(path)
    clips = read_scored_clips(path)
    pairs = pair_clips(clips, **pairing)
    if not pairs:
        prompts = len({clip.prompt for clip in clips})
        raise PreferenceFileError(
            f"{path}: {len(clips)} clips of {prompts} prompts give no pair. A pair needs two clips of the same prompt "
            "whose scores differ by more than the margin: score several clips per prompt, or lower the margin."
        )
    folder = clips_folder(path, [clip.path for clip in clips]) if root is None or Path(root) == path.parent else root
    return Preferences(pairs, Path(folder), path, "scored_clips")
