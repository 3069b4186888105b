"""What guidance did: one point for each model evaluation that it shifted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

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
    """

    sigma: float
    samples: tuple[tuple[float, float, float], ...] | None
    shift_ratio: float
    seconds: float
    reused: bool = False
    capped: bool = False
    model: str = "model"

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
        about = {name: getattr(self, name) for name in ("shift_ratio", "seconds", "reused", "capped", "model")}
        return {"sigma": self.sigma, **self.rewards(), **about}


@dataclass
class RewardTrace:
    """The points of one sampling run, in the order of their evaluation.

    Attributes:
        points: of the current run.
        run: number of the current run, counted from 1.
        listener: called as ``listener(run, index, point)`` with each new point, and with (run, -1, None) when a run begins.
    """

    points: list[TracePoint] = field(default_factory=list)
    run: int = 0
    listener: Callable[[int, int, TracePoint | None], None] | None = None

    def begin(self) -> None:
        """Forget the points of the last run."""
        self.points.clear()
        self.run += 1
        self._tell(-1, None)

    def add(self, point: TracePoint) -> None:
        """Append a point."""
        self.points.append(point)
        self._tell(len(self.points) - 1, point)

    @property
    def seconds(self) -> float:
        """What guidance took in this run."""
        return math.fsum(point.seconds for point in self.points)

    def to_dict(self) -> dict:
        """JSON-ready: run, seconds, and the points with a row of rewards for each clip of the batch."""
        points = [
            {**point.to_dict(), "samples": None if point.samples is None else [list(row) for row in point.samples]}
            for point in self.points
        ]
        return {"run": self.run, "points": points, "seconds": self.seconds}

    def _tell(self, index: int, point: TracePoint | None) -> None:
        if self.listener is not None:
            self.listener(self.run, index, point)
