"""Plain scored clips, as `videoalign score` writes them, turned into pairs of clips that share a prompt.

CSV, JSON or JSONL with the columns path, prompt and one or more of VQ, MQ, TA, Overall (numbers; id is optional). All
three of VQ, MQ, TA without an Overall give their sum as Overall, as VideoReward does. Which clips are paired:

    margin       every two clips whose scores in `dimension` differ by more than `margin`
    best_worst   per prompt the best against the worst clip, if they differ by more than `margin`
    all          every two clips, also those that count as a tie

In each pair a dimension's label is "same" where the scores differ by `margin` or less.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from ..preferences import DIMENSIONS, PreferenceFileError, PreferencePair, Preferences, Source, pair_of_sides
from .tables import read_table

PAIRINGS = ("margin", "best_worst", "all")


@dataclass(frozen=True)
class ScoredClip:
    """One clip with its scores per dimension, in the scorer's unit (VideoReward: standard deviations)."""

    path: str
    prompt: str
    scores: dict[str, float] = field(default_factory=dict)
    id: str | None = None


def read_scored_clips(path: Path) -> list[ScoredClip]:
    """The clips of a score file, which must have a number in each of its score columns in every row."""
    table = read_table(Path(path))
    table.require(("path", "prompt"))
    scored = [dimension for dimension in DIMENSIONS if dimension in table.columns]
    if not scored:
        raise PreferenceFileError(
            f"{path}: no score column; expected one or more of {', '.join(DIMENSIONS)}, "
            f"found {', '.join(table.columns)}."
        )
    clips = []
    for row in table:
        scores = {}
        for dimension in scored:
            score = row.number_in(dimension)
            if score is None:
                raise row.error(dimension, "no score; the clip was not scored. Score it again or remove the row.")
            scores[dimension] = score
        if "Overall" not in scores and len(scores) == 3:
            scores["Overall"] = scores["VQ"] + scores["MQ"] + scores["TA"]
        name = row.cells.get("id")
        clips.append(
            ScoredClip(row.text("path"), row.text("prompt"), scores, None if name in (None, "") else str(name))
        )
    return clips


def _label(a: float, b: float, margin: float) -> str:
    return "same" if abs(a - b) <= margin else "A" if a > b else "B"


def pair_clips(
    clips: Iterable[ScoredClip],
    *,
    pairing: str = "margin",
    dimension: str = "Overall",
    margin: float = 0.0,
    source_format: str = "scored_clips",
) -> list[PreferencePair]:
    """Pairs of clips with the same prompt, in the order in which the prompts first occur; see the module.

    `margin` >= 0 is in the scores' unit. Clips without a score in `dimension` are paired by "all" only.
    """
    if pairing not in PAIRINGS:
        raise ValueError(f"pairing {pairing!r} is unknown; choose one of {', '.join(PAIRINGS)}.")
    if dimension not in DIMENSIONS:
        raise ValueError(f"dimension {dimension!r} is unknown; choose one of {', '.join(DIMENSIONS)}.")
    if not margin >= 0:
        raise ValueError(f"margin must be 0 or more (found {margin}).")
    by_prompt: dict[str, list[ScoredClip]] = {}
    for clip in clips:
        by_prompt.setdefault(clip.prompt, []).append(clip)
    pairs = []
    for prompt, group in by_prompt.items():
        if pairing == "all":
            couples = list(combinations(group, 2))
        else:
            rated = [clip for clip in group if dimension in clip.scores]
            if pairing == "best_worst" and len(rated) > 1:
                # max and min take the first of equals, so two clips of one score do not depend on the sort.
                ends = (f(rated, key=lambda clip: clip.scores[dimension]) for f in (max, min))
                couples = [tuple(ends)]
            else:
                couples = list(combinations(rated, 2))
            couples = [(a, b) for a, b in couples if abs(a.scores[dimension] - b.scores[dimension]) > margin]
        for a, b in couples:
            shared = [name for name in DIMENSIONS if name in a.scores and name in b.scores]
            pairs.append(
                _oriented(
                    pair_of_sides(
                        a.path,
                        b.path,
                        {name: _label(a.scores[name], b.scores[name], margin) for name in shared},
                        scores_a=a.scores,
                        scores_b=b.scores,
                        prompt=prompt,
                        source=Source(format=source_format, columns=_ids(a, b)),
                    ),
                    None if pairing == "all" else dimension,
                )
            )
    return pairs


def _ids(a: ScoredClip, b: ScoredClip) -> dict[str, str]:
    return {name: clip.id for name, clip in (("id_A", a), ("id_B", b)) if clip.id is not None}


def _oriented(pair: PreferencePair, dimension: str | None) -> PreferencePair:
    """Pairs made for one dimension are chosen by it, not by Overall."""
    return pair if dimension is None else pair.preferring(dimension) or pair


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
    return Preferences(pairs, Path(root or path.parent), path, "scored_clips")
