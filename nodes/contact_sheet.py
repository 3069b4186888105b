"""One picture of a ranking: a row for each clip, best first, with frames, bars and the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..reward.dimensions import SIGMA
from .scored_clip import ScoredClip

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image, ImageDraw

    from .ranking import RankedClip, Ranking

# Pillow's own font, the only one that is everywhere, has no sigma: the unit is written sd here.
# Bars reach this many sigma to either side of 0.
BAR_RANGE = 3.0
MOST_ROWS = 20
MOST_PIXELS = 4096  # of either side: what browsers and image nodes take without complaint

_MARGIN, _FRAME_HEIGHT, _RANK_WIDTH, _BAR_WIDTH, _GAP = 16, 120, 96, 300, 4
_ROW = _FRAME_HEIGHT + 62
_MORE = 34
_BACKGROUND, _PANEL, _WINNER_PANEL, _TEXT, _DIM = "#17181c", "#212329", "#22302a", "#f1f3f5", "#9aa0aa"
_GOLD, _GREEN, _RED, _TRACK = "#f2c14e", "#5dc48c", "#e0706c", "#33363e"


def contact_sheet(ranking: Ranking) -> np.ndarray:
    """Draw it; uint8 RGB [H, W, 3]. Clips without frames (read from a score file) get their row without pictures."""
    import numpy as np
    from PIL import Image, ImageDraw

    from ..clips.clip_fault import reading

    shown = _shown_rows(ranking)
    strips = []
    for row in shown:
        with reading(row.clip.name):
            strips.append(_strip(row.clip))
    strip_width = max([strip.width for strip in strips if strip is not None], default=0)
    width = min(max(2 * _MARGIN + _RANK_WIDTH + strip_width + _BAR_WIDTH + 3 * _MARGIN, 640), MOST_PIXELS)
    header = 58 + 20 * len(ranking.notes)
    more = len(ranking.order) - len(shown)
    height = header + len(shown) * (_ROW + 8) + _MARGIN + (_MORE if more else 0)
    sheet = Image.new("RGB", (width, height), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    _header(draw, ranking, width)
    for index, (row, strip) in enumerate(zip(shown, strips, strict=True)):
        _row(sheet, draw, row, strip, header + index * (_ROW + 8), ranking)
    if more:
        lowest = min((row.total for row in ranking.order if row.total is not None), default=0.0)
        unit = "z" if ranking.by_z else ranking.order[-1].clip.unit
        sentence = f"and {more} more, down to {_amount(lowest, unit)}"
        draw.text((_MARGIN, height - _MORE), sentence, fill=_DIM, font=_font(16))
    return np.asarray(sheet)


def _shown_rows(ranking: Ranking) -> list[RankedClip]:
    """The best, and what was chosen by a person, first where there is no room for all."""
    room = list(ranking.order[:MOST_ROWS])
    if ranking.picked is not None and all(row is not ranking.picked for row in room):
        room[-1] = ranking.picked
    return room


def _strip(clip: ScoredClip) -> Image.Image | None:
    from PIL import Image

    if clip.frames is None or not len(clip.frames):
        return None
    frames = [Image.fromarray(frame) for frame in clip.frames]
    frames = [frame.resize((max(frame.width * _FRAME_HEIGHT // frame.height, 1), _FRAME_HEIGHT)) for frame in frames]
    strip = Image.new("RGB", (sum(frame.width + _GAP for frame in frames) - _GAP, _FRAME_HEIGHT), _BACKGROUND)
    x = 0
    for frame in frames:
        strip.paste(frame, (x, 0))
        x += frame.width + _GAP
    return strip


def _header(draw: ImageDraw.ImageDraw, ranking: Ranking, width: int) -> None:
    shares = "   ".join(f"{name} {share:.0%}" for name, share in ranking.weights.items())
    draw.text((_MARGIN, 12), f"Ranked by  {shares}", fill=_TEXT, font=_font(18))
    known = all(row.clip.unit for row in ranking.order)
    what = (
        "z-scores: standard deviations above the mean of these candidates, more is better."
        if ranking.by_z
        else "Scores in sd, standard deviations of the reward's training set: 0 is average."
        if known
        else "Marks of a judge."
    )
    draw.text((_MARGIN, 36), what, fill=_DIM, font=_font(12))
    for line, note in enumerate(ranking.notes):
        draw.text(
            (_MARGIN, 54 + 20 * line),
            _shortened(draw, f"! {note}", width - 2 * _MARGIN, 13),
            fill=_GOLD,
            font=_font(13),
        )


def _row(sheet, draw, row: RankedClip, strip, top: int, ranking: Ranking) -> None:
    width = sheet.width
    chosen = any(row is one for one in ranking.chosen)
    winner = chosen and row is ranking.chosen[0]
    draw.rounded_rectangle(
        (_MARGIN // 2, top, width - _MARGIN // 2, top + _ROW),
        8,
        fill=_WINNER_PANEL if winner else _PANEL,
        outline=_GOLD if winner else None,
        width=3,
    )
    colour = _GOLD if winner else _TEXT if chosen else _DIM
    label = f"#{row.rank}" if row.rank is not None else "out"
    draw.text((_MARGIN + 6, top + 44), label, fill=colour, font=_font(34))
    total = "" if row.total is None else _amount(row.total, "z" if ranking.by_z else row.clip.unit)
    draw.text((_MARGIN + 6, top + 86), total, fill=colour, font=_font(16))
    if winner:
        draw.text((_MARGIN + 6, top + 24), "YOURS" if row is ranking.picked else "BEST", fill=_GOLD, font=_font(14))
    left = _MARGIN + _RANK_WIDTH
    bars = width - _MARGIN - _BAR_WIDTH
    room = bars - left - _MARGIN
    title = _shortened(draw, row.title(len(ranking.order)), room, 14)
    draw.text((left, top + 10), title, fill=_TEXT, font=_font(14))
    if strip is not None:
        sheet.paste(strip.crop((0, 0, min(strip.width, room), strip.height)), (left, top + 34))
    draw.text((left, top + 38 + _FRAME_HEIGHT), _shortened(draw, row.why, room, 12), fill=_DIM, font=_font(12))
    if ranking.by_z:
        most = sorted(ranking.weights, key=lambda name: -ranking.weights[name])[:3]
        for index, name in enumerate(most):
            _bar(draw, name.rpartition(".")[2], row.z.get(name), "z", (bars, top + 40 + 30 * index), label=92)
    else:
        for index, one in enumerate(row.clip.dimensions[:3]):  # what a row has room for
            _bar(draw, one.name, row.clip.score(one.name), row.clip.unit, (bars, top + 40 + 30 * index))
    if row.gate_failures:
        reason = _shortened(draw, "; ".join(row.gate_failures).replace(SIGMA, "sd"), _BAR_WIDTH - 8, 13)
        draw.text((bars, top + _ROW - 46), reason, fill=_RED, font=_font(13))


def _bar(draw, name: str, score: float | None, unit: str, corner: tuple[int, int], label: int = 34) -> None:
    x, y = corner
    draw.text((x, y), _shortened(draw, name, label - 4, 14), fill=_DIM, font=_font(14))
    if score is None:
        draw.text((x + label, y), "out" if unit == "z" else "no caption", fill=_DIM, font=_font(14))
        return
    left, right = x + label, x + _BAR_WIDTH - 72
    middle = (left + right) / 2
    draw.rounded_rectangle((left, y + 3, right, y + 15), 3, fill=_TRACK)
    reach = max(-1.0, min(1.0, score / BAR_RANGE)) * (right - left) / 2
    draw.rectangle(
        (min(middle, middle + reach), y + 3, max(middle, middle + reach), y + 15), fill=_GREEN if score >= 0 else _RED
    )
    draw.line((middle, y, middle, y + 18), fill=_TEXT)
    draw.text((right + 8, y), _amount(score, unit), fill=_TEXT, font=_font(14))


def _amount(score: float, unit: str) -> str:
    return f"{score:+.2f} {unit.replace(SIGMA, 'sd')}".rstrip()


def _font(size: int):
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _shortened(draw, text: str, width: int, size: int) -> str:
    if draw.textlength(text, font=_font(size)) <= width:
        return text
    while text and draw.textlength(text + "...", font=_font(size)) > width:
        text = text[:-1]
    return text + "..."
