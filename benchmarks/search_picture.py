"""Gain against work as curves, one for each way to spend it (takes matplotlib, which nothing else here needs)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from seed_search import Way

from videoalign.files.atomic_file import replacing
from videoalign.reward.student_interval import student_mean

COLOURS = ("#555555", "#1f77b4", "#d62728", "#6baed6", "#fb9a99", "#2ca02c", "#9467bd", "#8c564b")


def draw(ways: Sequence[Way], file: Path) -> None:
    """Two charts beside each other: by the judge that chose, and by the measurement that did not."""
    mpl.rcParams["svg.hashsalt"] = "videoalign"  # the same figures give the same file
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    lines = list(dict.fromkeys(way.line for way in ways))
    for axis, (title, unit) in zip(
        axes,
        (("by VideoReward, which chose", "standard deviations"), ("by measurement, which did not", "degrees of fault")),
        strict=True,
    ):
        axis.axhline(0, color="#999999", linewidth=0.8)
        axis.plot(1, 0, "o", color="#999999", label="one seed at random")
        axis.set(title=f"Gain {title}", xlabel="work, in plain clips", ylabel=unit)
        axis.spines[["top", "right"]].set_visible(False)
    for line, colour in zip(lines, COLOURS * 2, strict=False):
        of_line = [way for way in ways if way.line == line]
        for axis, gains in zip(axes, ([w.reward for w in of_line], [w.measured for w in of_line]), strict=True):
            work = [way.work for way in of_line]
            axis.plot(work, [gain.mean() for gain in gains], "o-", color=colour, label=line, markersize=4)
            for at, bounds in zip(work, map(student_mean, gains), strict=True):
                axis.plot([at, at], [bounds.low, bounds.high], color=colour, alpha=0.25, linewidth=4)
    axes[0].legend(frameon=False, fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    plt.close(figure)
