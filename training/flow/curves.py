"""Curves of a run as a page that opens in any browser, without a server; for trackers see ``loop/trackers.py``."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...files.atomic_file import write_text
from ..loop.callback import Callback, Run, Say
from ..loop.log_file import read_log

MEANINGS = {
    "loss": "what is minimised; Flow-DPO starts at ln 2 = 0.693",
    "accuracy": "share of pairs that are ranked right against the base model; 0.5 is chance",
    "margin": "the logit: how far chosen and rejected have come apart",
    "push": "sigmoid(-logit): how strongly pairs still pull; 0.5 at the start, 0 when won",
    "winner_error": "flow error of the chosen clips minus the base model's; should not rise",
    "loser_error": "flow error of the rejected clips minus the base model's",
    "reference_error": "flow error of the chosen clips under the base model",
    "drift": "squared distance of the velocities from the base model's",
    "loser_scale": "the safeguard's factor of the rejected clip's gradient",
    "error": "flow error of the clips",
    "grad_norm": "norm of the gradient before it is cut",
}
WIDTH, HEIGHT, EDGE = 460, 220, 44
COLOURS = ("#1b6ca8", "#e07a1f", "#3a9d5d", "#b23a48", "#7a5ea8", "#8c6d31", "#3aa6a6", "#777777")

Line = tuple[str, Sequence[tuple[int, float]]]


class CurvesPage(Callback):
    """Keeps ``curves.html`` beside the log."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def logged(self, step: int, kind: str, numbers: Mapping[str, float], say: Say) -> None:
        if kind == "eval":
            self._write()

    def ended(self, run: Run, say: Say) -> None:
        self._write()

    def _write(self) -> None:
        lines = read_log(self.folder / "log.jsonl")
        if lines:
            write_text(self.folder / "curves.html", page(lines, self.folder.name))


def page(lines: Sequence[Mapping], title: str) -> str:
    """The curves of a log as one HTML page without scripts or other files."""
    names = list(dict.fromkeys(key.partition("/")[0] for line in lines for key in line if key not in ("step", "kind")))
    names.sort(key=lambda name: list(MEANINGS).index(name) if name in MEANINGS else len(MEANINGS))
    parts = []
    for name in names:
        series = {kind: _points(lines, kind, name) for kind in ("train", "eval")}
        plain = [(f"{kind}", points) for kind, points in series.items() if points]
        details = list(
            dict.fromkeys(key for line in lines if line["kind"] == "eval" for key in line if key.startswith(f"{name}/"))
        )
        levels = [(key.partition("/")[2], _points(lines, "eval", key)) for key in details]
        charts = _chart(plain, "all noise levels") + (_chart(levels, "held out, by noise level") if levels else "")
        parts.append(f"<h2>{html.escape(name)}</h2><p>{html.escape(MEANINGS.get(name, ''))}</p>{charts}")
    style = "body{font:15px system-ui;margin:2em;color:#222}h2{margin:1.4em 0 0}p{margin:.2em 0 .4em;color:#666}svg{margin-right:2em}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title><style>{style}</style>'
        f"<h1>{html.escape(title)}</h1>{''.join(parts)}</html>\n"
    )


def _points(lines: Sequence[Mapping], kind: str, name: str) -> list[tuple[int, float]]:
    return [
        (line["step"], line[name])
        for line in lines
        if line["kind"] == kind and name in line and math.isfinite(line[name])
    ]


def _chart(lines: Sequence[Line], caption: str) -> str:
    points = [point for _, own in lines for point in own]
    if not points:
        return ""
    steps, values = [step for step, _ in points], [value for _, value in points]
    left, right, low, high = min(steps), max(steps), min(values), max(values)
    wide, tall = max(right - left, 1), (high - low) or max(abs(high), 1e-6)

    def place(step: int, value: float) -> str:
        x = EDGE + (step - left) / wide * (WIDTH - 2 * EDGE)
        return f"{x:.1f},{HEIGHT - EDGE - (value - low) / tall * (HEIGHT - 2 * EDGE):.1f}"

    drawn, legend = [], []
    for number, (label, own) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(place(*point) for point in own)
        drawn.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{path}"/>')
        if len(own) == 1:
            x, y = path.split(",")
            drawn.append(f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>')
        legend.append(f'<tspan fill="{colour}">{html.escape(label)} </tspan>')
    axis = f'<path d="M{EDGE} {EDGE}V{HEIGHT - EDGE}H{WIDTH - EDGE}" fill="none" stroke="#aaa"/>'
    labels = (
        f'<text x="{EDGE}" y="{EDGE - 26}">{html.escape(caption)}: {"".join(legend)}</text>'
        f'<text x="2" y="{EDGE + 4}">{high:.3g}</text><text x="2" y="{HEIGHT - EDGE}">{low:.3g}</text>'
        f'<text x="{EDGE}" y="{HEIGHT - EDGE + 18}">{left}</text>'
        f'<text x="{WIDTH - EDGE}" y="{HEIGHT - EDGE + 18}" text-anchor="end">step {right}</text>'
    )
    return f'<svg width="{WIDTH}" height="{HEIGHT}" font-size="11" role="img">{axis}{"".join(drawn)}{labels}</svg>'
