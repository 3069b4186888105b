"""How candidates are ranked by marks of any judges: what a user writes, and what it means. Nothing here imports ComfyUI."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import VideoAlignError
from ..reward.gates import Gate, parse_gates
from ..reward.weights import parse_weight

BY_Z, BY_DOMINANCE = "weighted z-scores", "dominance"
METHODS = (BY_Z, BY_DOMINANCE)


@dataclass(frozen=True)
class RankingRules:
    """What *Ranking Rules* says.

    Attributes:
        weights: by name of the mark, of its z-score; beside those of *Reward Weights*, and in the place of one of the same name.
        gates: what a candidate must keep to; a veto.
        method: one of ``METHODS``.
        least_better: by dominance, in how many of the weighted marks a candidate must be better than another one.
        hacking_gate: see ``reward.guard.candidates``; 0 is off.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    gates: tuple[Gate, ...] = ()
    method: str = BY_Z
    least_better: int = 1
    hacking_gate: float = 0.0

    @classmethod
    def parse(cls, weights: str, gates: str, method: str, least_better: int, hacking_gate: float) -> RankingRules:
        """From the widgets; weights and gates are separated by line ends, commas or semicolons.

        Raises:
            VideoAlignError: one of them is none; the message says which.
        """
        if method not in METHODS:
            raise VideoAlignError(f"The method is {method!r}; choose one of {', '.join(METHODS)}.")
        if least_better < 1:
            raise VideoAlignError(f"least_better is {least_better}; it is a number of marks, 1 or more.")
        named: dict[str, float] = {}
        for text in entries(weights):
            name, weight = parse_weight(text)
            if name in named:
                raise VideoAlignError(f"{name} has two weights; give it one.")
            if not 0 <= weight < float("inf"):
                raise VideoAlignError(f"The weight of {name} is {weight}; it must be 0 or more.")
            named[name] = weight
        return cls(named, parse_gates(entries(gates)), method, least_better, hacking_gate)


def entries(text: str) -> list[str]:
    """What a widget lists, with line ends, commas or semicolons between."""
    return [entry.strip() for entry in re.split(r"[\n,;]", text) if entry.strip()]
