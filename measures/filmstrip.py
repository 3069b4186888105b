"""Clips as filmstrips with their values over time below: one HTML file that opens in any browser."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..clips.frames import View, every_frame, read_frames
from ..pages.render import write_page
from .clip_measures import DETAILS, DIMENSIONS, clip_details, clip_marks
from .dynamic_degree import THRESHOLD
from .trace import ClipTrace, ClipWatcher
from .working_size import MOTION_SIDE, at_working_size

PICTURES = 8
LONGEST_CURVE = 1000
"""Points of a curve: a longer clip has the mean of neighbouring frames in each."""


@dataclass(frozen=True)
class Film:
    """A measured clip with some of its frames.

    Attributes:
        name: its path.
        trace: its values over time.
        pictures: (index of the frame, uint8 RGB [h, w, 3] with a shorter side of at most 256 pixels), in order.
    """

    name: str
    trace: ClipTrace
    pictures: list[tuple[int, np.ndarray]]


class FilmWatcher(ClipWatcher):
    """Measures a clip and keeps some frames, spread evenly, small."""

    def __init__(self, total: int, fps: float) -> None:
        super().__init__(total, fps)
        count = min(PICTURES, total)
        self.pictures: list[tuple[int, np.ndarray]] = []
        self._shown = frozenset(int((number + 0.5) * total / count) for number in range(count))
        self._index = 0

    def see(self, picture: np.ndarray) -> None:
        """The next frame, uint8 RGB [H, W, 3]."""
        super().see(picture)
        if self._index in self._shown:
            self.pictures.append((self._index, at_working_size(picture, MOTION_SIDE).copy()))
        self._index += 1


def read_film(path: Path, fps: float | None = None) -> Film:
    """Measure a clip.

    Args:
        fps: overrides its own frame rate, in frames per second.

    Raises:
        ClipError: it cannot be read, or is a single picture.
    """
    watcher = read_frames(path, View(every_frame, watch=FilmWatcher), fps).watcher
    return Film(str(path), watcher.trace, watcher.pictures)


def write_filmstrips(path: Path, films: Sequence[Film]) -> Path:
    """Write the page; returns its path.

    Raises:
        FileError: it cannot be written.
    """
    return write_page(path, "filmstrip.html.j2", title="Clips over time", films=[_shown(film) for film in films])


def _shown(film: Film) -> dict:
    trace = film.trace
    duration = trace.total / trace.fps
    marks, details = clip_marks(trace), clip_details(trace)
    numbers = [
        {"name": one.name, "value": f"{marks[one.name]:.4g}", "meaning": one.meaning, "unit": one.unit}
        for one in DIMENSIONS
    ] + [
        {"name": name, "value": f"{details[name]:.4g}", "meaning": meaning, "unit": unit}
        for name, (meaning, unit) in DETAILS.items()
    ]
    return {
        "name": film.name,
        "about": f"{trace.total} frames, {duration:.2f} s at {trace.fps:g} frames a second",
        "pictures": [
            {"address": _address(picture), "time": f"{index / trace.fps:.2f} s", "frame": index}
            for index, picture in film.pictures
        ],
        "charts": _charts(trace),
        "bands": _bands(trace),
        "cuts": [_percent(index / trace.total) for index in trace.cuts],
        "ticks": _ticks(duration),
        "findings": _findings(trace),
        "numbers": numbers,
    }


def _charts(trace: ClipTrace) -> list[dict]:
    rate, total = trace.pairs_per_second, trace.total
    pairs = trace.pairs_in_a_shot
    # A pair's value stands in the middle of its time.
    between = [(first + second + 1) / 2 / total for first, second, _ in pairs]
    fastest, objects = ([getattr(pair, name) * rate for *_, pair in pairs] for name in ("fastest", "fastest_object"))
    frames = [(index + 0.5) / total for index in range(total)]
    brightness = [one.brightness for one in trace.light]
    limit = THRESHOLD * rate
    return [
        _chart("motion", "fastest 5 %, shorter sides a second", [("all", between, fastest), ("without the camera's", between, objects)], limit=limit),
        _chart("flicker", "difference to the frame before, levels of 255", [("", frames[1:], trace.differences)]),
        _chart("sharpness", "variance of the Laplacian", [("", frames, trace.sharpness)]),
        _chart("brightness", "mean grey level", [("", frames, brightness)], top=1.0),
        _chart("saturation", "of HSV", [("", frames, trace.saturation)], top=1.0),
    ]  # fmt: skip


def _chart(
    name: str,
    unit: str,
    lines: Sequence[tuple[str, Sequence[float], Sequence[float]]],
    top: float | None = None,
    limit: float | None = None,
) -> dict:
    """A chart for the template: curves in a picture of 1000 x 100, from 0 at the bottom to ``top``."""
    if top is None:
        top = 1.08 * max([value for _, _, values in lines for value in values] + [limit or 0.0]) or 1.0
    return {
        "name": name,
        "unit": unit,
        "top": f"{top:.3g}",
        "limit": None if limit is None else f"{100 - 100 * limit / top:.1f}",
        "lines": [
            {"label": label, "points": _points(times, values, top), "values": [[round(t, 5), float(f"{v:.4g}")] for t, v in _thinned(times, values)]}
            for label, times, values in lines
        ],
    }  # fmt: skip


def _thinned(times: Sequence[float], values: Sequence[float]) -> Iterable[tuple[float, float]]:
    step = math.ceil(len(values) / LONGEST_CURVE)
    for start in range(0, len(values), step or 1):
        yield float(np.mean(times[start : start + step])), float(np.mean(values[start : start + step]))


def _points(times: Sequence[float], values: Sequence[float], top: float) -> str:
    points = [(1000 * time, 100 - 100 * value / top) for time, value in _thinned(times, values)]
    if len(points) == 1:  # a line through the only value there is
        points = [(0, points[0][1]), (1000, points[0][1])]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _bands(trace: ClipTrace) -> list[dict]:
    """Parts of the clip that stand still, are black or of one colour, in per cent of its length."""
    bands = [("still", run.first, run.last + 1) for run in trace.still_runs]
    for kind in ("black", "uniform"):
        marked = [getattr(one, kind) and not (kind == "uniform" and one.black) for one in trace.light]
        edges = np.flatnonzero(np.diff(np.array([False, *marked, False]).astype(int)))
        bands += [(kind, int(first), int(end)) for first, end in zip(edges[::2], edges[1::2], strict=True)]
    return [
        {"kind": kind, "left": _percent(first / trace.total), "width": _percent((end - first) / trace.total)}
        for kind, first, end in bands
    ]


def _findings(trace: ClipTrace) -> list[str]:
    """What is marked, in words."""
    words = [f"cut at {index / trace.fps:.2f} s" for index in trace.cuts]
    longest = sorted(trace.still_runs, key=lambda run: -run.repeats)
    words += [
        f"stands still from {run.first / trace.fps:.2f} to {(run.last + 1) / trace.fps:.2f} s"
        for run in sorted(longest[:3], key=lambda run: run.first)
    ]
    if len(longest) > 3:
        words.append(f"and {len(longest) - 3} shorter standstills")
    for count, text in (
        (sum(one.black for one in trace.light), "black"),
        (sum(one.uniform and not one.black for one in trace.light), "of one colour"),
    ):
        words += [f"{count} {'frame' if count == 1 else 'frames'} {text}"] if count else []
    return words


def _ticks(duration: float) -> list[dict]:
    """At most nine round times from 0."""
    step = next(one for one in (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, math.inf) if duration / one <= 8)
    if math.isinf(step):
        step = duration / 8
    times = [number * step for number in range(int(duration / step + 1e-9) + 1)]
    return [{"left": _percent(time / duration), "label": f"{time:g} s"} for time in times if time <= 0.97 * duration]


def _percent(share: float) -> str:
    return f"{100 * share:.3f}"


def _address(picture: np.ndarray) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
