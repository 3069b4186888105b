"""What is true of a scene, as numbers: what the micro networks are asked for before they learn from preferences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .faults import MOTION_FAULTS, VISUAL_FAULTS, Fault
from .scene import COLOURS, COUNTS, DIRECTIONS, SHAPES, TEXT_ATTRIBUTES, Attributes

FAULTS = (*VISUAL_FAULTS, *MOTION_FAULTS)
CHOICES = {
    "colour": tuple(COLOURS), "shape": tuple(SHAPES), "direction": tuple(DIRECTIONS), "count": tuple(COUNTS.values()),
}  # fmt: skip
"""The values of each of TEXT_ATTRIBUTES."""


def fault_degrees(faults: Sequence[Fault]) -> np.ndarray:
    """[len(FAULTS)] float32 degrees, 0 where a fault is absent."""
    degree = {fault.kind: fault.degree for fault in faults}
    return np.array([degree.get(kind, 0.0) for kind in FAULTS], np.float32)


def shown_values(shown: Attributes) -> list[int]:
    """For each of TEXT_ATTRIBUTES the index of its value in CHOICES."""
    return [CHOICES[name].index(getattr(shown, name)) for name in TEXT_ATTRIBUTES]


def contradictions(shown: Attributes, described: Attributes) -> list[float]:
    """For each of TEXT_ATTRIBUTES 1 where the description differs from what is shown, else 0."""
    return [float(getattr(shown, name) != getattr(described, name)) for name in TEXT_ATTRIBUTES]
