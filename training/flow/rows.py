"""From preference files to rows: who is chosen, what is dropped, how much each row counts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...errors import VideoAlignError
from ...files.portable_paths import table_path
from ...files.tables import read_table
from ...preferences.preference_file import PreferencePair, ResolvedPair
from ...reward.score_columns import lower_is_better
from ...reward.weights import RewardWeights
from .config import DataConfig

Verdict = Literal["chosen", "rejected", "tie", "invalid"]


@dataclass(frozen=True)
class FlowRow:
    """A sample: the clips of one prompt by side, how much it counts, and the probability that the first side is better.

    ``fps`` overrides the frame rate of the clips' containers.
    """

    prompt: str
    clips: dict[str, Path]
    name: str
    weight: float = 1.0
    target: float = 1.0
    fps: float | None = None


def verdict(pair: PreferencePair, config: DataConfig) -> Verdict:
    """Which clip is better in what ``config`` asks for.

    Scores decide where both clips have them and a lead is asked for (``weighted``, or a margin); labels otherwise.
    """
    weights = dimension_weights(config)
    if config.prefer == "file":
        label = pair.labels.get("Overall", "A")
        return _by_lead(
            pair, {"Overall": 1.0}, config, {"A": "chosen", "B": "rejected", "same": "tie"}.get(label, "invalid")
        )
    names = {"A": "chosen", "B": "rejected", "same": "tie", "invalid": "invalid"}
    if config.prefer != "weighted":
        return _by_lead(pair, weights, config, names[pair.labels.get(config.prefer, "invalid")])
    codes = dict(zip(weights, pair.label_codes(list(weights)), strict=True))
    known = {name: code for name, code in codes.items() if code != 22}
    votes = sum(weights[name] * code for name, code in known.items())
    from_labels: Verdict = "invalid" if not known else "tie" if votes == 0 else "chosen" if votes > 0 else "rejected"
    return _by_lead(pair, weights, config, from_labels, always=True)


def preference_rows(sources: Sequence[ResolvedPair], config: DataConfig) -> tuple[list[FlowRow], Counter]:
    """Rows with the sides ``chosen`` and ``rejected``, and how many pairs had which verdict."""
    rows, counts = [], Counter()
    for source in sources:
        outcome = verdict(source.pair, config)
        counts[outcome] += 1
        if (outcome == "tie" and config.ties == "drop") or (outcome == "invalid" and config.invalid == "drop"):
            continue
        clips = source.clips
        if outcome == "rejected":
            clips = {"chosen": source.rejected, "rejected": source.chosen}
        target = 0.5 if outcome == "tie" else 1.0
        rows.append(FlowRow(source.prompt, clips, source.name, source.pair.weight, target, source.fps))
    return rows, counts


def scored_clips(sources: Sequence[ResolvedPair], config: DataConfig) -> list[tuple[FlowRow, dict[str, float]]]:
    """Each clip of the pairs once, with its scores in the dimensions that count.

    Raises:
        VideoAlignError: a clip has no score; the message names the row.
    """
    weights = dimension_weights(config)
    scored = []
    for clip in marked_clips(sources):
        missing = [name for name in weights if name not in clip.marks]
        if missing:
            raise VideoAlignError(
                f"{clip.row.name}: {clip.row.clips['clip']} has no {missing[0]} score; reward-weighted training needs one for every clip. "
                "Score the clips with videoalign score and give its output, or use data.prefer with what is there."
            )
        scored.append((clip.row, {name: clip.marks[name] for name in weights}))
    return scored


@dataclass(frozen=True)
class MarkedClip:
    """A clip of some pairs, with all its marks by name and the names of those of which less is better."""

    row: FlowRow
    marks: Mapping[str, float]
    lower_is_better: frozenset[str] = frozenset()


def marked_clips(sources: Sequence[ResolvedPair]) -> list[MarkedClip]:
    """Each clip of the pairs once, under the side ``clip``."""
    clips: dict[tuple[Path, str], MarkedClip] = {}
    for source in sources:
        pair = source.pair
        lower = lower_is_better(pair.source.columns) if pair.source else frozenset()
        for path, scores in ((source.chosen, pair.scores_chosen), (source.rejected, pair.scores_rejected)):
            row = FlowRow(source.prompt, {"clip": path}, source.name, pair.weight, fps=source.fps)
            clips.setdefault((path, source.prompt), MarkedClip(row, scores, lower))
    return list(clips.values())


def clip_rows(path: Path, side: str, needed: bool = True) -> list[FlowRow]:
    """The clips of a table with ``path`` (relative to the file) and ``prompt``, such as a JSONL file.

    Args:
        side: what each row calls its clip.
        needed: whether the clips have to be there.

    Raises:
        VideoAlignError: it cannot be read, or a clip or its caption is missing; the message names the line.
    """
    rows = []
    for row in read_table(path, ("path", "prompt")):
        clip = table_path(path.parent, row.text("path"))
        if needed and not os.path.isfile(clip):
            raise row.error("path", f"{clip} does not exist. Paths are relative to the file.")
        rows.append(FlowRow(row.text("prompt"), {side: clip}, row.where))
    return rows


def dimension_weights(config: DataConfig) -> dict[str, float]:
    """The dimensions that decide, and how much each counts."""
    if config.prefer == "weighted":
        return {name: value for name, value in config.weights.weights().as_given().items() if value > 0}
    return {"Overall" if config.prefer == "file" else config.prefer: 1.0}


def _by_lead(
    pair: PreferencePair, weights: Mapping[str, float], config: DataConfig, label: Verdict, always: bool = False
) -> Verdict:
    """The verdict of the scores where they are asked for (or nothing else says anything) and there; else ``label``."""
    there = all(name in pair.scores_chosen and name in pair.scores_rejected for name in weights)
    if not there or not (always or config.margin > 0 or label == "invalid"):
        return label
    counting = RewardWeights(weights)
    lead = counting.scalar(pair.scores_chosen) - counting.scalar(pair.scores_rejected)
    if abs(lead) <= config.margin:
        return "tie"
    return "chosen" if lead > 0 else "rejected"
