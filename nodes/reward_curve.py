"""A picture of a reward trace: VQ, MQ, TA over the steps, and below them how far each step was shifted."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from ..reward.dimensions import DIMENSIONS

if TYPE_CHECKING:
    import numpy as np

SIZE = (960, 600)
COLOURS = {"VQ": "#5aa9e6", "MQ": "#f2c14e", "TA": "#5dc48c"}
_FAINT = {"VQ": "#3f6c8f", "MQ": "#8f7639", "TA": "#417a5b"}

_BACKGROUND, _PANEL, _TEXT, _DIM, _GRID, _SHIFT, _CAPPED = (
    "#17181c",
    "#212329",
    "#f1f3f5",
    "#9aa0aa",
    "#33363e",
    "#8d7bd8",
    "#e0706c",
)
_CURVES, _SHIFTS = (70, 84, 930, 430), (70, 480, 930, 556)  # left, top, right, bottom


def reward_curve(trace: dict, ghost: dict | None = None) -> np.ndarray:
    """Draw it; uint8 RGB [H, W, 3].

    Args:
        trace: as ``GuidanceTrace.of`` gives it. Points that reused a gradient have no rewards: the curves go on over them.
        ghost: another trace, drawn thin behind it in the same range.
    """
    import numpy as np
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", SIZE, _BACKGROUND)
    draw = ImageDraw.Draw(picture)
    _header(draw, trace, ghost)
    for box in (_CURVES, _SHIFTS):
        draw.rectangle(box, fill=_PANEL)
    if not trace["points"]:
        _note(draw, trace["note"] or "No step was guided.")
        return np.asarray(picture)
    traces = [trace, *([ghost] if ghost and ghost["points"] else [])]
    steps = _Across([point for one in traces for point in one["points"]])
    heights = _Heights([point for one in traces for point in _rated(one)])
    _sigmas(draw, trace["points"], steps)
    _values(draw, heights)
    for one in reversed(traces):
        _rewards(draw, one, steps, heights, behind=one is not trace)
    _shifts(draw, trace["points"], steps)
    return np.asarray(picture)


class _Across:
    """Columns of steps. Points of a run whose schedule is not known stand at even distances."""

    def __init__(self, points: list[dict]) -> None:
        known = [point["step"] for point in points if point["step"] is not None]
        self.first, self.last = (min(known), max(known)) if known else (0, len(points) - 1)

    def __call__(self, point: dict, index: int) -> float:
        step = index if point["step"] is None else point["step"]
        left, right = _CURVES[0] + 24, _CURVES[2] - 24
        if self.last == self.first:
            return (left + right) / 2
        return left + (right - left) * (step - self.first) / (self.last - self.first)


class _Heights:
    """Rows of values."""

    def __init__(self, points: list[dict]) -> None:
        values = [point[name] for point in points for name in DIMENSIONS]
        low, high = min(values), max(values)
        spare = max(high - low, 0.1) * 0.06
        self.low, self.high = low - spare, high + spare

    def __call__(self, value: float) -> float:
        return _CURVES[3] - (value - self.low) / (self.high - self.low) * (_CURVES[3] - _CURVES[1])


def _rated(trace: dict) -> list[dict]:
    return [point for point in trace["points"] if point["VQ"] is not None]


def _note(draw, sentence: str) -> None:
    for row, line in enumerate(textwrap.wrap(sentence, 88)):
        draw.text((_CURVES[0] + 20, _CURVES[1] + 20 + 26 * row), line, fill=_DIM, font=_font(18))


def _header(draw, trace: dict, ghost: dict | None) -> None:
    weights = " : ".join(f"{trace['weights'].get(name, 0):g}" for name in DIMENSIONS)
    limit = "no cap" if trace["cap"] is None else f"cap {trace['cap']:g}"
    draw.text(
        (_CURVES[0], 14),
        f"VQ : MQ : TA = {weights}   {trace['strength_mode']} strength {trace['strength']:g}   {limit}",
        fill=_TEXT,
        font=_font(18),
    )
    guided = len(trace["points"])
    seed = "" if trace["seed"] is None else f"seed {trace['seed']}   "
    about = f"{trace['latent_reward']}   {seed}{guided} guided evaluations, {trace['seconds']:.2f} s of guidance"
    draw.text((_CURVES[0], 40), about.encode("ascii", "replace").decode(), fill=_DIM, font=_font(13))
    for column, name in enumerate(DIMENSIONS):
        draw.text((_CURVES[0] + 60 * column, 60), name, fill=COLOURS[name], font=_font(15))
    behind = "" if ghost is None else f"; thin: strength {ghost.get('strength', 0):g}, seed {ghost.get('seed')}"
    cut = "; cut, see the note in data" if trace["note"] and trace["points"] else ""
    draw.text((_CURVES[0] + 190, 61), f"in sd of the latent reward{behind}{cut}", fill=_DIM, font=_font(13))


def _sigmas(draw, points: list[dict], steps: _Across) -> None:
    """Steps and their noise levels below the curves."""
    every = max(len(points) // 8, 1)
    for index in range(0, len(points), every):
        x = steps(points[index], index)
        draw.line((x, _CURVES[1], x, _CURVES[3]), fill=_GRID)
        draw.text((x - 14, _CURVES[3] + 4), f"{points[index]['sigma']:.3f}", fill=_DIM, font=_font(12))
        if points[index]["step"] is not None:
            draw.text((x - 14, _CURVES[3] + 19), f"{points[index]['step'] + 1:g}", fill=_TEXT, font=_font(12))
    draw.text((8, _CURVES[3] + 4), "sigma", fill=_DIM, font=_font(12))
    draw.text((8, _CURVES[3] + 19), "step", fill=_TEXT, font=_font(12))


def _values(draw, heights: _Heights) -> None:
    for share in (0.0, 0.5, 1.0):
        value = heights.low + share * (heights.high - heights.low)
        draw.text((12, heights(value) - 7), f"{value:+.2f}", fill=_DIM, font=_font(12))
        draw.line((_CURVES[0], heights(value), _CURVES[2], heights(value)), fill=_GRID)


def _rewards(draw, trace: dict, steps: _Across, heights: _Heights, behind: bool) -> None:
    for name in DIMENSIONS:
        line = [
            (steps(point, index), heights(point[name]))
            for index, point in enumerate(trace["points"])
            if point["VQ"] is not None
        ]
        colour = _FAINT[name] if behind else COLOURS[name]
        draw.line(line, fill=colour, width=1 if behind else 3, joint="curve")
        for x, y in [] if behind else line:
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)


def _shifts(draw, points: list[dict], steps: _Across) -> None:
    most = max(point["shift_ratio"] for point in points)
    draw.text((_SHIFTS[0], _SHIFTS[3] + 8), "shift / velocity", fill=_SHIFT, font=_font(13))
    draw.text((_SHIFTS[0] + 120, _SHIFTS[3] + 8), "cut by the cap", fill=_CAPPED, font=_font(13))
    draw.text((12, _SHIFTS[1] - 2), f"{most:.2f}", fill=_DIM, font=_font(12))
    if not most:
        return
    half = max((_SHIFTS[2] - _SHIFTS[0]) / len(points) / 3, 1)
    for index, point in enumerate(points):
        x = steps(point, index)
        top = _SHIFTS[3] - point["shift_ratio"] / most * (_SHIFTS[3] - _SHIFTS[1])
        draw.rectangle((x - half, top, x + half, _SHIFTS[3]), fill=_CAPPED if point["capped"] else _SHIFT)


def _font(size: int):
    from PIL import ImageFont

    return ImageFont.load_default(size)
