"""What a search did, in words. Nothing here imports ComfyUI."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..reward.search.pace import Pace
    from .seed_search import SearchPlan, SearchResult
    from .seed_takes import SeedSampling


def summary(plan: SearchPlan, sampling: SeedSampling, result: SearchResult, pace: Pace | None = None) -> str:
    """One sentence on what was looked at and finished, one on the cost; with ``pace`` one on seconds."""
    drafted = len({look.seed for look in result.found.looks})
    steps = " and ".join(str(step) for step, _ in plan.looks)
    finished = ", ".join(map(str, result.finished)) or "none"
    known = f"; {result.known} looks were known from before" if result.known else ""
    lasting = f" A model evaluation takes {pace.step:.3g} s and a look {pace.look:.3g} s." if pace else ""
    return (
        f"{_count(drafted, 'seed')} looked at after {steps} of {sampling.steps} steps; finished: {finished}. The plan of {len(plan.seeds)} is {plan.work} model "
        f"evaluations, {plan.work / plan.one:.2f} of one clip's; this run made {sampling.evaluated}{known}.{lasting}"
    )


def report(result: SearchResult) -> str:
    """A line for each look, in the order in which they were taken."""
    lines = []
    for look in result.found.looks:
        marks = "  ".join(f"{name} {mark:+.3f}" for name, mark in look.marks.items() if mark is not None)
        total = "" if look.total is None else f"  total {look.total:+.3f}"
        end = "  out: " + "; ".join(look.out) if look.out else "  went on" if look.kept else ""
        lines.append(f"seed {look.seed}  step {look.step}  {marks}{total}{end}")
    return "\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
