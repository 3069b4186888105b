"""VBench's quality, semantic and total score from its sixteen dimensions, as its leaderboard has them.

Each dimension is brought to 0..1 by a fixed lowest and highest value; the quality score is the weighted mean of seven, the semantic
score of nine, the total (4 quality + semantic) / 5. Constants: Vchitect/VBench, scripts/constant.py. VBench's own script counts a
dimension that is missing as 0; here there is no score that it belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import VideoAlignError
from ...files.json_text import parse_json
from ...files.tables import read_text

QUALITY = {
    "subject_consistency": (0.1462, 1.0), "background_consistency": (0.2615, 1.0), "temporal_flickering": (0.6293, 1.0),
    "motion_smoothness": (0.706, 0.9975), "dynamic_degree": (0.0, 1.0), "aesthetic_quality": (0.0, 1.0), "imaging_quality": (0.0, 1.0),
}  # fmt: skip
"""Dimensions of the quality score, with the values that become 0 and 1."""
SEMANTIC = {
    "object_class": (0.0, 1.0), "multiple_objects": (0.0, 1.0), "human_action": (0.0, 1.0), "color": (0.0, 1.0),
    "spatial_relationship": (0.0, 1.0), "scene": (0.0, 0.8222), "appearance_style": (0.0009, 0.2855), "temporal_style": (0.0, 0.364),
    "overall_consistency": (0.0, 0.364),
}  # fmt: skip
"""Those of the semantic score, likewise."""
DIMENSIONS = QUALITY | SEMANTIC
WEIGHTS = {"dynamic_degree": 0.5}
"""Of the dimensions that do not count 1."""
QUALITY_WEIGHT = 4


@dataclass(frozen=True)
class VBenchScores:
    """What VBench comes to; 0..1 is the usual range, and higher is better.

    Attributes:
        given: by dimension, as VBench measured it.
        normalised: by dimension, between its lowest and highest value.
        quality, semantic, total: None where a dimension is missing.
    """

    given: Mapping[str, float]
    normalised: Mapping[str, float]
    quality: float | None
    semantic: float | None
    total: float | None

    @property
    def missing(self) -> list[str]:
        """Dimensions without a value."""
        return [name for name in DIMENSIONS if name not in self.given]


def vbench_scores(given: Mapping[str, float]) -> VBenchScores:
    """Of the values of some dimensions, called as VBench calls them, as shares (0.97, not 97).

    Raises:
        VideoAlignError: a dimension is not VBench's, or a value is no share.
    """
    for name, value in given.items():
        if name not in DIMENSIONS:
            raise VideoAlignError(f"VBench has no dimension {name!r}; it has {', '.join(DIMENSIONS)}.")
        if not (math.isfinite(value) and 0 <= value <= 1):
            raise VideoAlignError(
                f"{name} is {value:g}; expected a share between 0 and 1, as VBench writes it (0.97, not 97)."
            )
    normalised = {
        name: (given[name] - lowest) / (highest - lowest)
        for name, (lowest, highest) in DIMENSIONS.items()
        if name in given
    }
    quality, semantic = (_mean(normalised, names) for names in (QUALITY, SEMANTIC))
    total = (
        None if quality is None or semantic is None else (QUALITY_WEIGHT * quality + semantic) / (QUALITY_WEIGHT + 1)
    )
    return VBenchScores(dict(given), normalised, quality, semantic, total)


def read_vbench_results(paths: Iterable[Path]) -> dict[str, float]:
    """The values in files that VBench wrote (NAME_eval_results.json: dimension -> [value, clips]); or in a plain dimension -> value.

    Raises:
        VideoAlignError: a file is of another kind, or two files have different values of a dimension.
    """
    found: dict[str, float] = {}
    given_by: dict[str, Path] = {}
    for path in paths:
        try:
            content = parse_json(read_text(path))
        except ValueError as error:
            if isinstance(error, VideoAlignError):
                raise
            content = None
        if not isinstance(content, dict) or not content:
            raise VideoAlignError(
                f"{path} is no result of VBench; expected an object of dimensions, as in NAME_eval_results.json."
            )
        for key, entry in content.items():
            name = key.strip().lower().replace(" ", "_")
            value = entry[0] if isinstance(entry, list) and entry else entry
            if name not in DIMENSIONS or isinstance(value, bool) or not isinstance(value, int | float):
                raise VideoAlignError(
                    f"{path}: {key!r} is {'no dimension of VBench' if name not in DIMENSIONS else 'without a value'}; expected "
                    "dimension: [value, clips], as in NAME_eval_results.json."
                )
            if found.setdefault(name, float(value)) != value:
                raise VideoAlignError(
                    f"{path} and {given_by[name]} have different values of {name}. Name only one of them."
                )
            given_by.setdefault(name, path)
    return found


def vbench_table(scores: VBenchScores) -> str:
    """The values for a terminal, in per cent as on the leaderboard."""
    width = max(map(len, DIMENSIONS))
    lines = [f"{'':{width}}  measured  normalised"]
    for name in DIMENSIONS:
        values = (
            f"{100 * scores.given[name]:8.2f}  {100 * scores.normalised[name]:10.2f}"
            if name in scores.given
            else f"{'-':>8}"
        )
        lines.append(f"{name:{width}}  {values}")
    lines.append("")
    for title, value in (("quality", scores.quality), ("semantic", scores.semantic), ("total", scores.total)):
        lines.append(f"{title:{width}}  {'-' if value is None else f'{100 * value:.2f}':>8}")
    if scores.missing:
        lines.append(f"\nWithout {', '.join(scores.missing)} there is no {' and no '.join(_absent(scores))} score.")
    return "\n".join(lines)


def _absent(scores: VBenchScores) -> list[str]:
    named = (("quality", scores.quality), ("semantic", scores.semantic), ("total", scores.total))
    return [title for title, value in named if value is None]


def _mean(normalised: Mapping[str, float], names: Iterable[str]) -> float | None:
    weights = {name: WEIGHTS.get(name, 1.0) for name in names}
    if not normalised.keys() >= weights.keys():
        return None
    return sum(weight * normalised[name] for name, weight in weights.items()) / sum(weights.values())
