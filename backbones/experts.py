"""The two experts of Wan 2.2 A14B: two networks that share the noise levels, told apart by their files' names alone."""

from __future__ import annotations

import re
from pathlib import Path

EXPERTS = ("high_noise", "low_noise")
_NAMES = {expert: re.compile(expert.replace("_", "[-_ ]?"), re.IGNORECASE) for expert in EXPERTS}
_FIRST, _SECOND = "transformer", "transformer_2"  # folders of diffusers: the high-noise expert and the low-noise one


def expert_of(path: Path | str) -> str | None:
    """Which expert a network or a LoRA is by the name of its file or folder: ``...high_noise...``, ``...low-noise...``.

    Of diffusers' folders ``transformer_2`` is the low-noise one, and a pipeline that has one is read as its high-noise
    ``transformer``. None where the name does not tell, or tells both.
    """
    path = Path(path)
    told = [expert for expert, pattern in _NAMES.items() if pattern.search(path.name)]
    if len(told) == 1:
        return told[0]
    if path.name == _SECOND:
        return EXPERTS[1]
    pipeline = path.parent if path.name == _FIRST else path
    if (pipeline / _FIRST).is_dir() and (pipeline / _SECOND).is_dir():
        return EXPERTS[0]
    return None


def noise_range(expert: str, boundary: float) -> tuple[float, float]:
    """The noise levels (sigma) that an expert works at; ``boundary`` is the network's ``expert_boundary``."""
    return (boundary, 1.0) if expert == EXPERTS[0] else (0.0, boundary)
