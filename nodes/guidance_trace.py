"""What one guidance node did: what travels along a TRACE wire."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..errors import GuidanceError
from ..reward.dimensions import DIMENSIONS
from .run_records import RunRecord, RunRecords

if TYPE_CHECKING:
    from ..guidance.settings import GuidanceSettings
    from ..guidance.trace import TracePoint
    from ..reward.latent.calibration import Calibration

RECORDS = RunRecords()
LATE = (
    "Cut: it begins at sigma {:.3f}. The sampler before was not steered by this node, or what it recorded is no longer known "
    "(ComfyUI keeps results longer than this node its records): queue again with another seed to see the whole."
)
MISSING = (
    "No trace belongs to these samples: they are not, number for number, what a sampler gave with the MODEL of this Reward "
    "Guidance node since ComfyUI was started. Connect the LATENT of that sampler itself (not an edited, upscaled or freshly loaded "
    "one); if it is, ComfyUI kept the result of a run that is no longer known: queue again with another seed."
)


@dataclass(frozen=True)
class GuidanceTrace:
    """Whose traces these are. The traces themselves are found by the samples that belong to them.

    Rewards are shown in standard deviations of the rewards of the clips that the latent reward was measured on: then three
    curves fit one picture.

    Attributes:
        node: id of the guidance node.
        latent_reward: name of the latent reward model.
        settings: of the guidance.
        calibration: for the unit; None leaves the raw rewards.
        steered_by: equal for whatever would steer alike and record the same.
    """

    node: str
    latent_reward: str
    settings: GuidanceSettings
    calibration: Calibration | None
    steered_by: Hashable

    def of(self, samples: Any) -> dict:
        """The trace of these samples as JSON: node, latent reward, settings, seed, run, steps, seconds, points
        and a note.

        ``note`` is None, or a sentence that says what is missing: the first part, or everything. A point's step is counted over
        all samplers that took part.

        Args:
            samples: what the sampler gave, [B, C, T, H, W], or ComfyUI's nested tensor.
        """
        record = RECORDS.find(self.steered_by, samples)
        parts = record.parts() if record else []
        points = self.points_of(record, with_samples=True) if record else []
        note = MISSING if record is None else LATE.format(parts[0].sigmas[0]) if parts[0].begins_late else None
        settings = asdict(self.settings)
        about = {name: settings[name] for name in ("strength", "cap", "every")}
        return {
            "node": self.node,
            "latent_reward": self.latent_reward,
            "weights": dict(settings["weights"]),
            "strength_mode": settings["mode"],
            **about,
            "run": record.run if record else None,
            "seed": parts[0].seed if record else None,
            "steps": sum(len(part.sigmas) - 1 for part in parts),
            "note": note,
            "points": points,
            "seconds": sum(point["seconds"] for point in points),
        }

    def points_of(self, record: RunRecord, with_samples: bool = False) -> list[dict]:
        """The points of a record and of what it went on from, in the shown unit."""
        made, passed = [], 0
        for part in record.parts():
            made += [self.shown(point, passed, with_samples) for point in part.points]
            passed += len(part.sigmas) - 1
        return made

    def shown(self, point: TracePoint, passed: int = 0, with_samples: bool = False) -> dict:
        """A point in the shown unit, JSON-ready.

        Args:
            passed: steps of the samplers before.
            with_samples: also each clip's rewards, as [VQ, MQ, TA].
        """
        made = point.to_dict()
        if made["step"] is not None:
            made["step"] = round(made["step"] + passed, 4)
        for name in DIMENSIONS:
            if made[name] is not None:
                made[name] = self._scaled(name, made[name])
        if with_samples:
            rows = point.samples
            made["samples"] = rows and [
                [self._scaled(name, row[index]) for index, name in enumerate(DIMENSIONS)] for row in rows
            ]
        return made

    def _scaled(self, name: str, value: float) -> float:
        if self.calibration is None or not self.calibration.std[name] > 0:
            return value
        return (value - self.calibration.mean[name]) / self.calibration.std[name]


def read_trace(data: str) -> dict:
    """``data`` of a *Reward Trace*, for another one to draw.

    Raises:
        GuidanceError: it is none.
    """
    try:
        made = json.loads(data)
        drawable = isinstance(made, dict) and all(
            isinstance(point, dict) and {"sigma", "step", *DIMENSIONS} <= set(point) for point in made["points"]
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        drawable = False
    if not drawable:
        raise GuidanceError("ghost is not a trace: connect the output data of another Reward Trace.")
    return made
