"""The values over time as rows of a table, one a frame."""

from __future__ import annotations

from collections.abc import Iterator

from .trace import ClipTrace

COLUMNS = (
    "clip", "frame", "seconds", "difference", "sharpness", "brightness", "crushed", "blown", "black", "uniform", "saturation",
    "distance", "speed", "object_speed", "camera_x", "camera_y", "cut", "still",
)  # fmt: skip
"""``clip``: its path. ``difference``, ``distance``, ``cut`` and ``still`` are of the frame and the one before it; ``speed`` to
``camera_y`` are of the sampled frame and the sampled one before it, in shorter sides a second. What does not exist is empty."""


def time_rows(clip: str, trace: ClipTrace) -> Iterator[dict]:
    """The rows of one clip, keys as ``COLUMNS``."""
    cuts = set(trace.cuts)
    still = {index for run in trace.still_runs for index in range(run.first + 1, run.last + 1)}
    motions = dict(zip(trace.sampled[1:], trace.motions, strict=True))
    for index, light in enumerate(trace.light):
        row = {
            "clip": clip,
            "frame": index,
            "seconds": round(index / trace.fps, 6),
            "sharpness": trace.sharpness[index],
            "brightness": light.brightness,
            "crushed": light.crushed,
            "blown": light.blown,
            "black": int(light.black),
            "uniform": int(light.uniform),
            "saturation": trace.saturation[index],
        }
        if index:
            row |= {
                "difference": trace.differences[index - 1],
                "distance": trace.distances[index - 1],
                "cut": int(index in cuts),
                "still": int(index in still),
            }
        if index in motions:
            pair, rate = motions[index], trace.pairs_per_second
            row |= {
                "speed": pair.fastest * rate,
                "object_speed": pair.fastest_object * rate,
                "camera_x": pair.camera[0] * rate,
                "camera_y": pair.camera[1] * rate,
            }
        yield row
