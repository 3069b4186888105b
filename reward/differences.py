"""What marks differ by, as people read it: for the page of ``videoalign compare`` and for the node *Compare Clips*.

Both hand what is made here to ``web/compare_view.js``, JSON-ready.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .dimensions import SIGMA
from .judge import Dimension
from .win_rates import LEAST_INDEPENDENT, SHOWN_AS_EQUAL, WinRate

_BAR_END = 2.0  # a difference in the mark's unit that fills a bar, where the range of marks has no bounds
_MINUS = "\N{MINUS SIGN}"
KINDS = {1: "better", -1: "worse", 0: ""}


def signed(value: float) -> str:
    """A mark or a difference with two decimals and its sign: "+0.29"."""
    rounded = round(value, 2)
    return "0.00" if not rounded else f"{rounded:+.2f}".replace("-", _MINUS)


def in_unit(value: float, dimension: Dimension) -> str:
    """``signed`` with the unit where that is a sign; other units are sentences, for a tooltip."""
    return f"{signed(value)} {SIGMA}" if dimension.unit == SIGMA else signed(value)


def difference(dimension: Dimension, base: float | None, candidate: float | None) -> dict:
    """One dimension of two clips.

    Returns:
        name; base and candidate, the marks as text; text, candidate minus base; gain, the same as a number with more always
        better, None where a mark is missing; kind, "better", "worse", or "" for what is not seen in two decimals; bar, -1 to
        1, how far a bar goes to the better side.
    """
    marks = {
        side: "\N{EN DASH}" if mark is None else signed(mark)
        for side, mark in (("base", base), ("candidate", candidate))
    }
    if base is None or candidate is None:
        return {"name": dimension.name, **marks, "text": "\N{EN DASH}", "gain": None, "kind": "", "bar": 0.0}
    gain = dimension.merit(candidate) - dimension.merit(base)
    seen = 0.0 if abs(gain) < SHOWN_AS_EQUAL else gain
    return {
        "name": dimension.name,
        **marks,
        "text": in_unit(candidate - base if seen else 0.0, dimension),
        "gain": seen,
        "kind": KINDS[(seen > 0) - (seen < 0)],
        "bar": max(-1.0, min(1.0, seen / _bar_end(dimension))),
    }


def differences(
    dimensions: Sequence[Dimension], base: Mapping[str, float | None], candidate: Mapping[str, float | None]
) -> list[dict]:
    """``difference`` of each dimension, in their order."""
    return [difference(one, base.get(one.name), candidate.get(one.name)) for one in dimensions]


def rate_row(dimension: Dimension, rate: WinRate) -> dict:
    """One dimension over all pairs: name, meaning; mean (with more better), interval, won and verdict as text; kind."""
    equal = f", {rate.ties} equal" if rate.ties else ""
    return {
        "name": dimension.name,
        "meaning": f"{dimension.meaning}, in {dimension.unit}",
        "mean": in_unit(rate.lead, dimension),
        "interval": f"{signed(rate.lead_low)} to {signed(rate.lead_high)}" if rate.enough else "",
        "won": f"{rate.wins} of {rate.pairs}{equal}",
        "verdict": rate.in_words,
        "kind": KINDS[rate.verdict],
    }


def verdict_line(names: tuple[str, str], dimensions: Sequence[Dimension], rates: Mapping[str, WinRate]) -> str:
    """One sentence: who won how often in the last dimension that was rated (the overall one, if there is one), and whether
    that is enough to believe it. Empty if nothing was rated.
    """
    rated = [one for one in dimensions if one.name in rates]
    if not rated:
        return ""
    dimension, rate = rated[-1], rates[rated[-1].name]
    equal = f" ({rate.ties} equal)" if rate.ties else ""
    pairs = "pair" if rate.pairs == 1 else "pairs"
    start = f"{names[1]} won {rate.wins} of {rate.pairs} {pairs}{equal} by {dimension.meaning}, mean difference {in_unit(rate.lead, dimension)}"
    if not rate.enough:
        what = "pairs" if rate.independent == rate.pairs else "prompts"
        return f"{start}: too few to tell, it takes {LEAST_INDEPENDENT} {what} or more."
    said = {
        "better": f"{names[1]} is better",
        "worse": f"{names[1]} is worse",
        "about equal": "about equal",
        "too few to tell": "too few to tell",
    }[rate.in_words]
    return f"{start}: {said} (95 % interval of the share won: {rate.low:.0%} to {rate.high:.0%})."


def _bar_end(dimension: Dimension) -> float:
    if dimension.lowest is None or dimension.highest is None:
        return _BAR_END
    return dimension.highest - dimension.lowest
