"""What a comparison came to: its figures for a program and for a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import VideoAlignError
from ...files.atomic_file import write_json
from ...files.json_text import read_json
from ...reward.dimensions import MEANING
from ...reward.guard.verdict import Outcome, Verdict
from ...reward.win_rates import WinRate

REPORT = "report.json"


@dataclass(frozen=True)
class Comparison:
    """What a comparison came to.

    Attributes:
        names: of the base and of the candidate.
        pairs: how many pairs were compared.
        tables: judge -> dimension -> win rate of the candidate.
        verdict: whether the gain was bought.
        unmeasured: why nothing was measured of the clips; empty where it was.
    """

    names: tuple[str, str]
    pairs: int
    tables: Mapping[str, Mapping[str, WinRate]]
    verdict: Verdict
    unmeasured: str = ""


def write_report(path: Path, comparison: Comparison) -> None:
    """The figures as JSON; null for an interval that one pair alone cannot give."""
    content = {
        "base": comparison.names[0],
        "candidate": comparison.names[1],
        "pairs": comparison.pairs,
        "judges": {
            judge: {name: asdict(rate) for name, rate in table.items()} for judge, table in comparison.tables.items()
        },
        "verdict": comparison.verdict.to_dict() | {"unmeasured": comparison.unmeasured},
    }
    write_json(path, _finite(content))


def outcome_of(folder: Path) -> Outcome:
    """The verdict of a comparison that was written into a folder.

    Raises:
        VideoAlignError: there is none that can be read.
    """
    report = folder / REPORT
    try:
        return Outcome(read_json(report)["verdict"]["outcome"])
    except (KeyError, TypeError, ValueError) as error:
        raise VideoAlignError(f"{report} holds no verdict; delete it and run the comparison again.") from error


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def report_text(comparison: Comparison) -> str:
    """The figures for a terminal."""
    names = comparison.names
    lines = [f"{names[1]} against {names[0]}: share of {comparison.pairs} pairs won (ties half), 95 % interval"]
    for judge, table in comparison.tables.items():
        cells = [f"{name} {rate.rate:.1%} [{rate.low:.1%}, {rate.high:.1%}]" for name, rate in table.items()]
        lines.append(f"  by {judge}: " + "  ".join(cells))
    lines += [f"  {text}" for text in disagreements(comparison.tables)]
    lines.append(f"Verdict: {comparison.verdict.outcome.value}. {comparison.verdict.sentence}")
    return "\n".join([*lines, comparison.unmeasured] if comparison.unmeasured else lines)


def disagreements(tables: Mapping[str, Mapping[str, WinRate]]) -> list[str]:
    """A sentence for each dimension in which one judge sees a clear gain and another a clear loss or no gain at all."""
    texts = []
    judges = list(tables)
    for name in dict.fromkeys(name for table in tables.values() for name in table):
        rating = [judge for judge in judges if name in tables[judge]]
        for judge in rating:
            for other in rating:
                first, second = tables[judge][name], tables[other][name]
                if first.verdict == 1 and second.verdict < 1 and second.rate <= 0.5:
                    what = "a loss" if second.verdict < 0 else "no gain"
                    texts.append(
                        f"{MEANING.get(name, name).capitalize()}: {judge} sees a gain ({first.rate:.0%}), {other} {what} ({second.rate:.0%}). "
                        "The clips may have learnt to please the first judge: look at them."
                    )
    return texts
