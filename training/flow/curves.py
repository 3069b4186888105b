"""Curves of a run as a page that opens in any browser, without a server; for trackers see ``loop/trackers.py``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...pages.render import write_page
from ..loop.callback import Callback, Run, Say
from ..loop.log_file import read_log

MEANINGS = {
    "loss": "what is minimised; Flow-DPO starts at ln 2 = 0.693",
    "accuracy": "share of pairs that are ranked right against the reference (the base model, or the LoRA that the run began from); 0.5 is chance",
    "margin": "the logit: how far chosen and rejected have come apart",
    "push": "sigmoid(-logit): how strongly pairs still pull; 0.5 at the start, 0 when won",
    "winner_error": "flow error of the chosen clips minus the reference's; should not rise",
    "loser_error": "flow error of the rejected clips minus the reference's",
    "reference_error": "flow error of the chosen clips under the reference",
    "drift": "squared distance of the velocities from the reference's",
    "loser_scale": "the safeguard's factor of the rejected clip's gradient",
    "error": "flow error of the clips",
    "grad_norm": "norm of the gradient before it is cut",
}
TEMPLATE = "curves.html.j2"
COLOURS = 8  # of the lines, in pages/templates/page.css

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
            write_page(self.folder / "curves.html", TEMPLATE, **curves(lines, self.folder.name))


@dataclass(frozen=True)
class ChartAxes:
    """Where the steps and the values of a chart lie in its picture, in pixels."""

    first_step: int
    last_step: int
    low: float
    high: float
    width: int = 460
    height: int = 220
    left: int = 58
    right: int = 448
    top: int = 14
    bottom: int = 190

    @property
    def ticks(self) -> list[dict]:
        """Height and label of the lowest value, the middle and the highest."""
        values = (self.low, (self.low + self.high) / 2, self.high) if self.high > self.low else (self.low,)
        return [{"y": f"{self.y(value):.1f}", "label": f"{value:.3g}"} for value in values]

    def x(self, step: int) -> float:
        return self.left + (step - self.first_step) / max(self.last_step - self.first_step, 1) * (
            self.right - self.left
        )

    def y(self, value: float) -> float:
        tall = (self.high - self.low) or max(abs(self.high), 1e-6)
        return self.bottom - (value - self.low) / tall * (self.bottom - self.top)


def curves(lines: Sequence[Mapping], title: str) -> dict:
    """What the page of a log shows: the values of its template."""
    names = list(dict.fromkeys(key.partition("/")[0] for line in lines for key in line if key not in ("step", "kind")))
    names.sort(key=lambda name: list(MEANINGS).index(name) if name in MEANINGS else len(MEANINGS))
    numbers = []
    for name in names:
        series = {kind: _points(lines, kind, name) for kind in ("train", "eval")}
        plain = [(kind, points) for kind, points in series.items() if points]
        details = list(
            dict.fromkeys(
                key for line in lines if line.get("kind") == "eval" for key in line if key.startswith(f"{name}/")
            )
        )
        levels = [(key.partition("/")[2], _points(lines, "eval", key)) for key in details]
        charts = [_chart(plain, "all noise levels"), _chart(levels, "held out, by noise level")]
        numbers.append({"name": name, "meaning": MEANINGS.get(name, ""), "charts": [one for one in charts if one]})
    return {"title": title, "numbers": numbers, "colours": COLOURS}


def _points(lines: Sequence[Mapping], kind: str, name: str) -> list[tuple[int, float]]:
    return [
        (line["step"], line[name])
        for line in lines
        if line.get("kind") == kind and name in line and math.isfinite(line[name])
    ]


def _chart(lines: Sequence[Line], caption: str) -> dict | None:
    """A chart for the template; None without a single point."""
    steps = [step for _, points in lines for step, _ in points]
    values = [value for _, points in lines for _, value in points]
    if not steps:
        return None
    axes = ChartAxes(min(steps), max(steps), min(values), max(values))
    drawn = []
    for label, points in lines:
        corners = [(f"{axes.x(step):.1f}", f"{axes.y(value):.1f}") for step, value in points]
        text = " ".join(",".join(corner) for corner in corners)
        drawn.append({"label": label, "points": text, "dot": corners[0] if len(corners) == 1 else None})
    return {"caption": caption, "lines": drawn, "axes": axes}
