"""What guidance did: one point for each model evaluation that it shifted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from ..backbones.flow_path import SAME_SIGMA
from ..reward.dimensions import DIMENSIONS


@dataclass(frozen=True)
class TracePoint:
    """One evaluation.

    Attributes:
        sigma: noise level, 1 noise to 0 clean.
        samples: [VQ, MQ, TA] of each clip of the batch; None where the last gradient was used again.
        shift_ratio: ||shift of v|| / ||v||, mean over the batch, after the cap.
        seconds: what the reward and its gradient took, wall clock.
        reused: the last gradient was used again.
        capped: the cap cut the shift of at least one clip.
        model: which model was evaluated, where one run uses two.
        step: place in the run's schedule, in steps from its start; between two of them for an evaluation between. None where
            the schedule is not known.
    """

    sigma: float
    samples: tuple[tuple[float, float, float], ...] | None
    shift_ratio: float
    seconds: float
    reused: bool = False
    capped: bool = False
    model: str = "model"
    step: float | None = None

    def rewards(self) -> dict[str, float | None]:
        """Mean over the batch, by dimension."""
        if self.samples is None:
            return dict.fromkeys(DIMENSIONS)
        return {
            name: math.fsum(row[index] for row in self.samples) / len(self.samples)
            for index, name in enumerate(DIMENSIONS)
        }

    def to_dict(self) -> dict:
        """JSON-ready, without the rows of ``samples``."""
        about = {name: getattr(self, name) for name in ("step", "shift_ratio", "seconds", "reused", "capped", "model")}
        return {"sigma": self.sigma, **self.rewards(), **about}


@dataclass
class RewardTrace:
    """The points of one sampling run, in the order of their evaluation.

    Attributes:
        sigmas: the run's schedule, falling; empty where it is not known.
        listener: called as ``listener(index, point)`` with each new point.
        points: the run's.
    """

    sigmas: tuple[float, ...] = ()
    listener: Callable[[int, TracePoint], None] | None = None
    points: list[TracePoint] = field(default_factory=list)

    def add(self, point: TracePoint) -> None:
        """Append a point."""
        self.points.append(point)
        if self.listener is not None:
            self.listener(len(self.points) - 1, point)

    def step_of(self, sigma: float) -> float | None:
        """Where a noise level lies in the schedule: 0 at its start, its number of steps at its end."""
        for index, (above, below) in enumerate(pairwise(self.sigmas)):
            if sigma > below or math.isclose(sigma, below, rel_tol=SAME_SIGMA):
                share = (above - sigma) / (above - below) if above > below else 0.0
                return index + min(max(share, 0.0), 1.0)
        return None

    @property
    def seconds(self) -> float:
        """What guidance took in this run."""
        return math.fsum(point.seconds for point in self.points)

    def to_dict(self) -> dict:
        """JSON-ready: seconds, and the points with a row of rewards for each clip of the batch."""
        points = [
            {**point.to_dict(), "samples": None if point.samples is None else [list(row) for row in point.samples]}
            for point in self.points
        ]
        return {"points": points, "seconds": self.seconds}
