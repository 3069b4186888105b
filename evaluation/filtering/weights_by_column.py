"""How much each column counts, as it is written on a command line."""

from __future__ import annotations


def parse_weighted_column(text: str) -> tuple[str, float]:
    """``VQ`` or ``VQ=0.5`` as column and weight.

    Raises:
        ValueError: the weight is no number, or 0.
    """
    name, given, weight = text.rpartition("=")
    try:
        value = float(weight) if given else 1.0
    except ValueError:
        value = 0.0
    name = name if given else text
    if not name.strip() or not 0 < abs(value) < float("inf"):
        raise ValueError(f"{text!r} is no column with a weight; write a column, or a column = a number: --by VQ=0.5")
    return name.strip(), value
