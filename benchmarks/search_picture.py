"""Gain against work as curves, one for each way to spend it (takes matplotlib, which nothing else here needs)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from seed_search import Way

from videoalign.files.atomic_file import replacing
from videoalign.reward.student_interval import student_mean

COLOURS = (
    "#555555", "#6baed6", "#1f77b4", "#08306b", "#fb9a99", "#d62728", "#7f0000", "#2ca02c", "#9467bd", "#ff7f0e",
)  # fmt: skip
"""In the order of the lines: best of n, three of previews, three of the latent reward, guidance, RGRP, Feynman-Kac."""


def draw(ways: Sequence[Way], file: Path) -> None:
    """Two charts beside each other: by the judge that chose, and by the measurement that did not."""
    mpl.rcParams["svg.hashsalt"] = "videoalign"  # the same figures give the same file
    figure, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
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
        of_line = sorted((way for way in ways if way.line == line), key=lambda way: way.work)
        style = "D" if line.endswith("halving") else "o-"  # halvings are plans of their own, no curve
        for axis, gains in zip(axes, ([w.reward for w in of_line], [w.measured for w in of_line]), strict=True):
            work = [way.work for way in of_line]
            axis.plot(work, [gain.mean() for gain in gains], style, color=colour, label=line, markersize=4)
            for at, bounds in zip(work, map(student_mean, gains), strict=True):
                axis.plot([at, at], [bounds.low, bounds.high], color=colour, alpha=0.3, linewidth=1.5)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    plt.close(figure)
