"""What ``videoalign bench`` prints for people."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping

from ...reward.agreement import Agreement
from ...reward.bootstrap import Interval
from .measure import Measurement
from .protocol import Protocol

WIDTH = 110


def measurement_table(measurement: Measurement, protocol: Protocol, title: str) -> str:
    """A table of all accuracies in percent, its legend, and one table more if the pairs fall into groups."""
    comparison = measurement.comparison
    prompts = len({pair.prompt for pair in comparison.pairs})
    lines = [title, f"{_count(len(comparison.pairs), 'pair')} of {_count(prompts, 'prompt')}, accuracies in percent"]
    if comparison.left_out:
        lines.append(f"{_count(comparison.left_out, 'pair')} left out: a clip has no scores")
    lines.append("")
    confidence = next((a.without_ties_interval.confidence for a in measurement.accuracies.values()), 0.95)
    lines += [*_head(confidence), ""]
    lines[-1] = "-" * len(lines[-2])
    for label, agreement in measurement.accuracies.items():
        lines.append(_row(_name(label, protocol), agreement))
    lines += ["", *textwrap.wrap(_legend(confidence), WIDTH)]
    if comparison.not_scored:
        lines.append(f"Not measured, because there is no score for it: {', '.join(comparison.not_scored)}.")
    if measurement.grouped_by:
        lines += ["", *_groups(measurement, protocol)]
    return "\n".join(line.rstrip() for line in lines)


def judges_table(measured: Mapping[str, tuple[Measurement, Protocol]], title: str) -> str:
    """One table of the accuracies of several judges, by name, and its legend; those by group are in each judge's files."""
    names = {
        (judge, label): f"{judge}: {_name(label, protocol)}"
        for judge, (measurement, protocol) in measured.items()
        for label in measurement.accuracies
    }
    width = max(map(len, names.values())) + 1
    confidence = next(iter(next(iter(measured.values()))[0].accuracies.values())).without_ties_interval.confidence
    lines = [title, "accuracies in percent", "", *_head(confidence, width)]
    lines.append("-" * len(lines[-1]))
    for judge, (measurement, _) in measured.items():
        for label, agreement in measurement.accuracies.items():
            lines.append(_row(names[judge, label], agreement, width))
    lines += ["", *textwrap.wrap(_legend(confidence), WIDTH)]
    for judge, (measurement, _) in measured.items():
        if measurement.comparison.left_out:
            lines.append(f"{judge}: {_count(measurement.comparison.left_out, 'pair')} left out: a clip has no scores")
    return "\n".join(line.rstrip() for line in lines)


def failure_lines(measurement: Measurement, shown: int = 10) -> list[str]:
    """The first clips without scores, with the rows that name them."""
    failures = measurement.comparison.failures
    lines = []
    for failure in failures[:shown]:
        more = f" (and {_count(len(failure.where) - 1, 'more place')})" if len(failure.where) > 1 else ""
        lines.append(f"  {failure.where[0]}{more}: {failure.path}: {failure.error}")
    if len(failures) > shown:
        lines.append(f"  and {len(failures) - shown} more; agreement.json has them all")
    return lines


def _head(confidence: float, width: int = 12) -> list[str]:
    interval = f"({100 * confidence:g} % interval)"
    return [
        f"{'':<{width + 14}}{'without ties':^24}{'with ties, held out':^24}{'best':>7}{'official script':>19}",
        f"{'':<{width}}{'pairs':>7}{'ties':>7}{interval:^24}{interval:^24}{'':>7}{'without':>11}{'with':>8}",
    ]


def _row(name: str, agreement: Agreement, width: int = 12) -> str:
    held_out = agreement.with_ties_held_out
    with_ties = "-" if held_out is None else _estimate(held_out.accuracy, held_out.interval)
    return (
        f"{name:<{width}}{agreement.pairs:>7}{agreement.ties:>7}"
        f"{_estimate(agreement.without_ties, agreement.without_ties_interval):^24}{with_ties:^24}"
        f"{_percent(agreement.with_ties.accuracy):>7}"
        f"{_percent(agreement.official_without_ties):>11}{_percent(agreement.official_with_ties):>8}"
    )


def _legend(confidence: float) -> str:
    return (
        "without ties: of the pairs with a winner, how often it has the higher score (50 = chance; equal scores count "
        "half). with ties, held out: the answers are A, B and same, and it is same where the scores differ by no more "
        "than a threshold that was fitted on the other half of the prompts. best: with the threshold that suits these "
        "very pairs best, as papers report it. official script: VideoAlign's two numbers for these rows in this order "
        "(equal scores and invalid labels count as wrong). "
        f"The {100 * confidence:g} % intervals resample prompts, not pairs."
    )


def _groups(measurement: Measurement, protocol: Protocol) -> list[str]:
    """Accuracy without ties and its interval, a line a group; the rest is in agreement.json."""
    width = max(len(value) for value in (*measurement.groups, measurement.grouped_by))
    width = min(max(width, 12), 32)
    names = [_name(label, protocol) for label in measurement.accuracies]
    lines = [
        f"By {measurement.grouped_by}: accuracy without ties (interval); a pair with two values counts for both.",
        "",
        f"{measurement.grouped_by:<{width}}{'pairs':>7}" + "".join(f"{name:^24}" for name in names),
    ]
    lines.append("-" * len(lines[-1]))
    for value, accuracies in measurement.groups.items():
        line = f"{value[:width]:<{width}}{max((agreement.pairs for agreement in accuracies.values()), default=0):>7}"
        for label in measurement.accuracies:
            agreement = accuracies.get(label)
            line += f"{'-' if agreement is None else _estimate(agreement.without_ties, agreement.without_ties_interval):^24}"
        lines.append(line)
    return lines


def _name(label: str, protocol: Protocol) -> str:
    score = protocol.score_of[label]
    return label if label == score else f"{label} by {score}"


def _percent(share: float | None) -> str:
    return "-" if share is None or not math.isfinite(share) else f"{100 * share:.1f}"


def _estimate(share: float, interval: Interval) -> str:
    """ "70.8 (54.1 - 87.5)" """
    if not math.isfinite(share):
        return "-"
    return f"{100 * share:.1f} ({100 * interval.low:.1f} - {100 * interval.high:.1f})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
