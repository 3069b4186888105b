"""How a family's authors sample from it: the numbers that a user need not look up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from ..errors import WeightsError
from ..files.json_text import parse_json

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
    """

    shift: float
    steps: int
    guidance_scale: float
    fps: float
    frames: int
    height: int
    width: int
    embedded_guidance: float | None = None

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
        return replace(self, **overrides)
