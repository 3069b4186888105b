"""How a family's authors sample from it: the numbers that a user need not look up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from ..errors import WeightsError
from ..files.json_text import parse_json
from .flow_path import sigmas

METADATA_KEY = "videoalign.sampling"
"""A file's metadata may hold other defaults here: JSON, any of the names below (the micro model does that)."""


@dataclass(frozen=True)
class SamplingDefaults:
    """Defaults of one family.

    Attributes:
        shift: s in sigma = s t / (1 + (s - 1) t).
        steps: evaluations of an Euler run.
        guidance_scale: of classifier-free guidance; 1 is none.
        fps: frames a second of what it was trained on.
        frames, height, width: of a clip, in frames and pixels.
        embedded_guidance: the scale that a guidance-distilled network is told, None where it has no such input.
        levels: steps + 1 noise levels from 1 to 0 in the place of those that steps and shift give, for networks that were distilled at
            these; None for most.
    """

    shift: float
    steps: int
    guidance_scale: float
    fps: float
    frames: int
    height: int
    width: int
    embedded_guidance: float | None = None
    levels: tuple[float, ...] | None = None

    @property
    def schedule(self) -> Tensor:
        """[steps + 1] noise levels from 1 to 0, float32."""
        return sigmas(self.steps, self.shift) if self.levels is None else torch.tensor(self.levels)

    def changed(self, **values: Any) -> SamplingDefaults:
        """With other values; where steps or the shift are among them, levels of their own are given up."""
        if self.levels is not None and {"steps", "shift"} & values.keys():
            values = {"levels": None, **values}
        return replace(self, **values)

    def overridden(self, metadata: Mapping[str, str], name: str) -> SamplingDefaults:
        """These defaults with what the metadata of file ``name`` says instead.

        Raises:
            WeightsError: the metadata's entry is not JSON, or has an unknown name.
        """
        if METADATA_KEY not in metadata:
            return self
        known = {field.name for field in fields(self)}
        try:
            overrides = parse_json(metadata[METADATA_KEY])
            unknown = set(overrides) - known
        except (ValueError, TypeError) as error:
            raise WeightsError(f"{name}: metadata '{METADATA_KEY}' is not a JSON object ({error}).") from None
        if unknown:
            raise WeightsError(
                f"{name}: metadata '{METADATA_KEY}' has unknown {sorted(unknown)}; known: {sorted(known)}."
            )
        if overrides.get("levels") is not None:
            overrides["levels"] = tuple(map(float, overrides["levels"]))
        return replace(self, **overrides)


@dataclass(frozen=True)
class Distilled:
    """How networks are sampled that were distilled to few steps, or a LoRA on a network that makes it one.

    Attributes:
        about: which.
        settings: what differs from the network's own defaults.
        source: where the numbers stand.
    """

    about: str
    settings: Mapping[str, Any]
    source: str
