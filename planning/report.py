"""A plan in words."""

from __future__ import annotations

from collections.abc import Sequence

from .cards import CARDS, UTILISATION, Card
from .counting import BETWEEN, GB
from .encoding import Encoding
from .run_plan import Part, RunPlan, Way


def plan_text(plan: RunPlan) -> str:
    """The plan as people read it; every figure says whether it is counted or an estimate."""
    lines = [*plan.head, "", f"Memory on the device, {plan.at_once}:"]
    lines += [_part(part) for part in plan.parts]
    lines += [
        _part(Part("between", plan.needed - plan.counted, f"estimate, {100 * BETWEEN:.0f} %")),
        _part(Part("in all", plan.needed, "")),
    ]
    if plan.main_memory:
        lines.append(_part(Part("in main memory", plan.main_memory, "counted; the blocks' matrices")))
    lines.append("")
    if plan.encoding is not None:
        lines += _encoding(plan.encoding)
    lines += [*plan.operations_said, "", *card_lines(plan)]
    return "\n".join(lines + [f"\nWARNING: {concern}" for concern in plan.concerns])


def card_lines(plan: RunPlan) -> list[str]:
    """Whether each card has room, what to do where it has not, and how long it takes."""
    ways: list[Way] = []
    if any(plan.needed > card.gigabytes * GB for card in CARDS):
        ways = list(plan.ways())
    return [
        f"Cards, with {100 * UTILISATION:.0f} % of their makers' peak (estimate; no card has been measured):",
        *(_card(card, plan, ways) for card in CARDS),
    ]


def _card(card: Card, plan: RunPlan, ways: Sequence[Way]) -> str:
    room = card.gigabytes * GB
    hours = duration(card.seconds(plan.operations))
    encoding = "" if plan.encoding is None or plan.encoding.needed <= room else f"; {_too_large(plan.encoding)}"
    if plan.needed <= room:
        return f"  {card.name:<18} fits; {hours}{plan.said_of(card)}{encoding}"
    for way in ways:
        if way.needed <= room:
            beside = f" and {gb(way.main_memory)} of main memory" if way.main_memory else ""
            return f"  {card.name:<18} does not fit; with {way.words} it takes {gb(way.needed)}{beside}; more than {hours}{encoding}"
    return f"  {card.name:<18} does not fit" + (f"; {less}" if (less := plan.smaller(room)) else "") + encoding


def _encoding(encoding: Encoding) -> list[str]:
    parts = [f"text encoder {gb(encoding.text)} (its weights)"] if encoding.text else []
    parts.append(f"VAE {gb(encoding.vae)} and {gb(encoding.clip)} for a clip (counted)")
    parts += [f"image encoder {gb(encoding.image)} (its weights)"] if encoding.image else []
    return [
        f"Before the training clips and captions are encoded, one encoder after the other: {', '.join(parts)}; then "
        f"{gb(encoding.cache)} of cache on the disk (counted)."
    ]


def encoding_said(encoding: Encoding | None, clips: int) -> str:
    """The end of a sentence on operations; nothing where the cache is there already."""
    return "" if encoding is None else f"; encoding {clips} clips {flop(encoding.operations)} more (counted)"


def _too_large(encoding: Encoding) -> str:
    return f"the encoding takes {gb(encoding.needed)}: make the cache elsewhere, and train from it with data.cache_only"


def _part(part: Part) -> str:
    return f"  {part.name:<20}{gb(part.size):>10}  {part.said}".rstrip()


def gb(size: float) -> str:
    """Bytes in a unit that suits them."""
    return f"{size / GB:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def flop(operations: float) -> str:
    """Operations in a unit that suits them."""
    return f"{operations / 1e15:.4g} PFLOP" if operations >= 1e15 else f"{operations / 1e12:.4g} TFLOP"


def duration(seconds: float) -> str:
    """An estimate of a time."""
    if seconds < 60:
        return "less than a minute of arithmetic"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
