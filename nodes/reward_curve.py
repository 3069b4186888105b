"""A picture of a reward trace: VQ, MQ, TA over the evaluations, and below them how far each step was shifted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..reward.dimensions import DIMENSIONS

if TYPE_CHECKING:
    import numpy as np

SIZE = (960, 600)
COLOURS = {"VQ": "#5aa9e6", "MQ": "#f2c14e", "TA": "#5dc48c"}

_BACKGROUND, _PANEL, _TEXT, _DIM, _GRID, _SHIFT, _CAPPED = (
    "#17181c",
    "#212329",
    "#f1f3f5",
    "#9aa0aa",
    "#33363e",
    "#8d7bd8",
    "#e0706c",
)
_CURVES, _SHIFTS = (70, 84, 930, 440), (70, 480, 930, 556)  # left, top, right, bottom


def reward_curve(trace: dict) -> np.ndarray:
    """Draw it; uint8 RGB [H, W, 3].

    Args:
        trace: as ``GuidanceTrace.shown`` gives it. Points that reused a gradient have no rewards: the curves go on over them.
    """
    import numpy as np
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", SIZE, _BACKGROUND)
    draw = ImageDraw.Draw(picture)
    points = trace["points"]
    _header(draw, trace)
    for box in (_CURVES, _SHIFTS):
        draw.rectangle(box, fill=_PANEL)
    if not points:
        draw.text((_CURVES[0] + 20, _CURVES[1] + 20), "No step was guided.", fill=_DIM, font=_font(18))
        return np.asarray(picture)
    _sigmas(draw, points)
    _rewards(draw, points)
    _shifts(draw, points)
    return np.asarray(picture)


def _header(draw, trace: dict) -> None:
    weights = " : ".join(f"{trace['weights'].get(name, 0):g}" for name in DIMENSIONS)
    limit = "no cap" if trace["cap"] is None else f"cap {trace['cap']:g}"
    draw.text(
        (_CURVES[0], 14),
        f"VQ : MQ : TA = {weights}   {trace['strength_mode']} strength {trace['strength']:g}   {limit}",
        fill=_TEXT,
        font=_font(18),
    )
    guided = len(trace["points"])
    about = f"{trace['latent_reward']}   {guided} guided evaluations, {trace['seconds']:.2f} s of guidance"
    draw.text((_CURVES[0], 40), about.encode("ascii", "replace").decode(), fill=_DIM, font=_font(13))
    for column, name in enumerate(DIMENSIONS):
        draw.text((_CURVES[0] + 60 * column, 60), name, fill=COLOURS[name], font=_font(15))
    draw.text((_CURVES[0] + 190, 61), "in sd of the latent reward", fill=_DIM, font=_font(13))


def _sigmas(draw, points: list[dict]) -> None:
    """Noise levels below the curves."""
    step = max(len(points) // 8, 1)
    for index in range(0, len(points), step):
        x = _across(index, len(points))
        draw.line((x, _CURVES[1], x, _CURVES[3]), fill=_GRID)
        draw.text((x - 14, _CURVES[3] + 8), f"{points[index]['sigma']:.3f}", fill=_DIM, font=_font(12))
    draw.text((8, _CURVES[3] + 8), "sigma", fill=_DIM, font=_font(12))


def _rewards(draw, points: list[dict]) -> None:
    rows = [(index, point) for index, point in enumerate(points) if point["VQ"] is not None]
    values = [point[name] for _, point in rows for name in DIMENSIONS]
    low, high = min(values), max(values)
    spare = max(high - low, 0.1) * 0.06
    low, high = low - spare, high + spare

    def height(value: float) -> float:
        return _CURVES[3] - (value - low) / (high - low) * (_CURVES[3] - _CURVES[1])

    for share in (0.0, 0.5, 1.0):
        value = low + share * (high - low)
        draw.text((12, height(value) - 7), f"{value:+.2f}", fill=_DIM, font=_font(12))
        draw.line((_CURVES[0], height(value), _CURVES[2], height(value)), fill=_GRID)
    for name in DIMENSIONS:
        line = [(_across(index, len(points)), height(point[name])) for index, point in rows]
        draw.line(line, fill=COLOURS[name], width=3, joint="curve")
        for x, y in line:
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=COLOURS[name])


def _shifts(draw, points: list[dict]) -> None:
    most = max(point["shift_ratio"] for point in points)
    draw.text((_SHIFTS[0], _SHIFTS[3] + 8), "shift / velocity", fill=_SHIFT, font=_font(13))
    draw.text((_SHIFTS[0] + 120, _SHIFTS[3] + 8), "cut by the cap", fill=_CAPPED, font=_font(13))
    draw.text((12, _SHIFTS[1] - 2), f"{most:.2f}", fill=_DIM, font=_font(12))
    if not most:
        return
    half = max((_SHIFTS[2] - _SHIFTS[0]) / len(points) / 3, 1)
    for index, point in enumerate(points):
        x = _across(index, len(points))
        top = _SHIFTS[3] - point["shift_ratio"] / most * (_SHIFTS[3] - _SHIFTS[1])
        draw.rectangle((x - half, top, x + half, _SHIFTS[3]), fill=_CAPPED if point["capped"] else _SHIFT)


def _across(index: int, count: int) -> float:
    left, right = _CURVES[0] + 24, _CURVES[2] - 24
    return left + (right - left) * (index + 0.5) / count


def _font(size: int):
    from PIL import ImageFont

    return ImageFont.load_default(size)
