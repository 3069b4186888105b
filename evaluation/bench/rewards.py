"""What a benchmark measures side by side: each judge by itself, and their panel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import VideoAlignError
from ...reward.dimensions import OVERALL
from ...reward.judge import Dimension
from ...reward.panel import Seat
from ...reward.ranking import check_names, standings
from ...reward.score_columns import LOWER
from ...reward.weights import RewardWeights
from .pairs import BenchClip, BenchPair
from .protocol import Protocol

PANEL = "panel"
"""What the weighted z-scores are called among the judges."""
_OF_PANEL = Dimension(OVERALL, "weighted z-scores", "standard deviations among the clips of a prompt")

Results = Mapping[BenchClip, Mapping[str, Any]]
"""By clip: marks by name, or an error."""


@dataclass(frozen=True)
class Reward:
    """One reward with its scores of the benchmark's clips.

    Attributes:
        name: what tables and files call it.
        source: as it was asked for.
        results: its scores.
        protocol: which label is compared with which score; None for one whose marks cannot be (they serve the panel alone).
        about: what the scores depend on, for agreement.json.
    """

    name: str
    source: str
    results: Results
    protocol: Protocol | None
    about: Mapping[str, Any] = field(default_factory=dict)


def panel_marks(seats: Sequence[Seat], rewards: Sequence[Results]) -> Results:
    """The marks of several judges under their names in the panel; a clip that a judge refused lacks its marks."""
    marks: dict[BenchClip, dict[str, Any]] = {}
    for seat, results in zip(seats, rewards, strict=True):
        lower = [one.name for one in seat.dimensions if not one.higher_is_better]
        names = [one.name for one in seat.judge.dimensions]
        names += [] if seat.judge.overall is None else [seat.judge.overall.name]
        for clip, result in results.items():
            row = marks.setdefault(clip, {LOWER: []})
            row[LOWER] = [*row[LOWER], *lower]
            row |= {seat.column(name): result.get(name) for name in names}
    return marks


def panel_of(pairs: Iterable[BenchPair], marks: Results, weights: RewardWeights, rules: Protocol) -> Reward:
    """The panel as a reward of its own: weighted z-scores among the distinct clips of each prompt, against the label Overall.

    Args:
        marks: as ``panel_marks`` or ``read_known_scores`` gives them.
        rules: of the benchmark.

    Raises:
        VideoAlignError: no clip has a mark that has a weight, or people gave no label for the whole.
    """
    if OVERALL not in rules.score_of:
        raise VideoAlignError(f"{rules.title} has no label {OVERALL}, with which a panel is compared.")
    weighted = [name for name, weight in weights.values.items() if weight]
    check_names(
        weighted, [{name: row.get(name) for name in row if name != LOWER} for row in marks.values()], "--weight"
    )
    by_prompt: dict[str, dict[BenchClip, None]] = {}
    for pair in pairs:
        by_prompt.setdefault(pair.prompt, {}).update(dict.fromkeys(pair.clips))
    results: dict[BenchClip, dict[str, Any]] = {}
    for clips in by_prompt.values():
        rows = [marks.get(clip, {}) for clip in clips]
        lower = {name for row in rows for name in row.get(LOWER, ())}
        places = standings([{name: row.get(name) for name in weighted} for row in rows], weights, lower_is_better=lower)
        for clip, row, place in zip(clips, rows, places, strict=True):
            cause = row.get("error") or "; ".join(place.out)
            results[clip] = {"error": cause} if place.out else {OVERALL: place.total}
    protocol = Protocol(rules.name, rules.title, {OVERALL: OVERALL}, rules.max_pixels, (_OF_PANEL,))
    text = " ".join(f"{name}={weight:g}" for name, weight in weights.values.items())
    return Reward(PANEL, text, results, protocol, {"weights": dict(weights.values)})
