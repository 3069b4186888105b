"""A candidate's place in a ranking, and the gates in VideoReward's dimensions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import VideoAlignError
from ..reward.dimensions import SIGMA
from .scored_clip import ScoredClip

# A gate at this value (in sigma) or below lets everything pass.
GATE_OFF = -10.0


@dataclass(frozen=True)
class Gates:
    """Lowest score that a clip must reach in some dimensions, in their units; ``GATE_OFF`` asks for nothing."""

    lowest: Mapping[str, float] = field(default_factory=dict)

    def failed(self, clip: ScoredClip) -> tuple[str, ...]:
        """A reason for each gate that the clip does not pass.

        Raises:
            VideoAlignError: a gate asks for a score that the clip does not have.
        """
        reasons = []
        for name, lowest in self.lowest.items():
            score = clip.score(name)
            if lowest <= GATE_OFF:
                continue
            if cause := clip.refusal(name):
                reasons.append(f"it has no {name}, which the gate min_{name} asks for: {cause}")
                continue
            if score is None and name not in clip.scores:
                raise VideoAlignError(
                    f"The gate min_{name} is {lowest:+.2f}, but {clip.name} was judged by {clip.judge}, which gives no {name}. Set "
                    f"min_{name} to {GATE_OFF:g} (off)."
                )
            if score is None:
                raise VideoAlignError(
                    f"The gate min_{name} is {amount(lowest, clip, name)}, but {clip.name} was scored without a caption and has no {name}. Give "
                    f"Score Video a caption, or set min_{name} to {GATE_OFF:g} (off)."
                )
            if score < lowest:
                reasons.append(f"{name} {amount(score, clip, name)} is below {amount(lowest, clip, name)}")
        return tuple(reasons)


@dataclass(frozen=True)
class RankedClip:
    """A clip's rank among the candidates.

    Attributes:
        clip: it.
        index: its position among the candidates, 0-based.
        total: the weighted mean of its scores, in their unit, or of its z-scores; more is better. None for one that is out of a
            comparison by z-scores.
        rank: 1 for the winner; None when a gate rejected it.
        gate_failures: why it was rejected, a reason for each gate.
        parts: what each dimension adds to the total.
        z: its z-scores among the candidates by mark, more always better; empty in a ranking by the marks themselves.
        why: what puts it where it is, against the winner, or the winner against the next.
    """

    clip: ScoredClip
    index: int
    total: float | None
    rank: int | None
    gate_failures: tuple[str, ...]
    parts: Mapping[str, float] = field(default_factory=dict)
    z: Mapping[str, float] = field(default_factory=dict)
    why: str = ""

    def title(self, candidates: int) -> str:
        """How people call it: its place, its name where that says more, and its seed."""
        name = "" if re.fullmatch(r"clip( \d+ of \d+)?", self.clip.name) else f": {self.clip.name}"
        seed = "" if self.clip.seed is None else f", seed {self.clip.seed}"
        return f"candidate {self.index + 1} of {candidates}{name}{seed}"


def amount(score: float, clip: ScoredClip, name: str) -> str:
    """A score with its unit, where that is a sign."""
    unit = clip.unit or next((SIGMA for one in clip.dimensions if one.name == name and one.unit == SIGMA), "")
    return f"{score:+.2f} {unit}".rstrip()
