"""What one guidance node did: what travels along a TRACE wire, and what the page is told while sampling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ..reward.dimensions import DIMENSIONS

if TYPE_CHECKING:
    from ..guidance.settings import GuidanceSettings
    from ..guidance.trace import RewardTrace, TracePoint
    from ..reward.latent.calibration import Calibration

EVENT = "videoalign.reward_trace"


@dataclass(frozen=True)
class GuidanceTrace:
    """A trace with where it comes from.

    Rewards are shown in standard deviations of the rewards of the clips that the latent reward was measured on: then three
    curves fit one picture.

    Attributes:
        trace: filled while sampling, begun anew by each run.
        node: id of the guidance node.
        latent_reward: name of the latent reward model.
        settings: of the guidance.
        calibration: for the unit; None leaves the raw rewards.
    """

    trace: RewardTrace
    node: str
    latent_reward: str
    settings: GuidanceSettings
    calibration: Calibration | None

    def tell(self, send: Callable[[str, dict], None]) -> None:
        """From now on ``send(EVENT, {node, run, index, point})`` each point when it comes; index -1 begins a run."""

        def listener(run: int, index: int, point: TracePoint | None) -> None:
            shown = None if point is None else self._in_sigma(point.to_dict())
            send(EVENT, {"node": self.node, "run": run, "index": index, "point": shown})

        self.trace.listener = listener

    def shown(self) -> dict:
        """JSON-ready: node, latent reward, settings, run, seconds and points."""
        made = self.trace.to_dict()
        for point in made["points"]:
            self._in_sigma(point)
            if point["samples"] is not None:
                point["samples"] = [
                    [self._scaled(name, row[index]) for index, name in enumerate(DIMENSIONS)]
                    for row in point["samples"]
                ]
        settings = asdict(self.settings)
        about = {name: settings[name] for name in ("strength", "cap", "every")}
        return {
            "node": self.node,
            "latent_reward": self.latent_reward,
            "weights": dict(settings["weights"]),
            "strength_mode": settings["mode"],
            **about,
            **made,
        }

    def _in_sigma(self, point: dict) -> dict:
        for name in DIMENSIONS:
            if point[name] is not None:
                point[name] = self._scaled(name, point[name])
        return point

    def _scaled(self, name: str, value: float) -> float:
        if self.calibration is None or not self.calibration.std[name] > 0:
            return value
        return (value - self.calibration.mean[name]) / self.calibration.std[name]
