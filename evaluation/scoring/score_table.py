"""The table that ``videoalign score`` prints for people."""

from __future__ import annotations

from collections.abc import Sequence

COLUMNS = ("VQ", "MQ", "TA", "Overall")
UNIT = "Scores are standard deviations of the reward's training set: 0 is average. Compare clips of one prompt, length and fps."


def score_table(results: Sequence[dict], width: int = 100) -> str:
    """A readable table of results (``videoalign score --json`` objects), about ``width`` characters wide.

    Failed rows show their error; the best Overall of two or more clips with the same prompt is marked with a star.
    """
    best = _best_of_each_prompt(results)
    prompts = any(result.get("prompt") for result in results)
    fixed = 9 * len(COLUMNS) + 4
    name_width = min(
        max([len(str(result["id"])) for result in results], default=4), max(width - fixed - (24 if prompts else 0), 16)
    )
    prompt_width = max(width - fixed - name_width, 12) if prompts else 0
    lines = [f"  {'clip':<{name_width}}" + "".join(f"{name:>9}" for name in COLUMNS) + ("  prompt" if prompts else "")]
    lines.append("-" * len(lines[0]))
    for result in results:
        mark = "* " if result["id"] in best else "  "
        name = f"{mark}{_shorten(str(result['id']), name_width, keep_end=True):<{name_width}}"
        if "error" in result:
            lines.append(f"{name}  failed: {result['error']}")
            continue
        values = "".join(f"{'-' if result[column] is None else f'{result[column]:+.3f}':>9}" for column in COLUMNS)
        lines.append(name + values + (f"  {_shorten(result.get('prompt') or '', prompt_width)}" if prompts else ""))
    return "\n".join([*lines, "", UNIT])


def score_summary(results: Sequence[dict], errors: int = 10) -> str:
    """Mean and range of each score, and the first failed rows: what a table of thousands of rows would not show."""
    lines = []
    for name in COLUMNS:
        values = [result[name] for result in results if result.get(name) is not None]
        if values:
            lines.append(
                f"{name:>8}: mean {sum(values) / len(values):+.3f}, lowest {min(values):+.3f}, highest {max(values):+.3f}"
            )
    failed = [result for result in results if "error" in result]
    lines += [
        f"  failed: {_shorten(str(result['id']), 40, keep_end=True)}: {result['error']}" for result in failed[:errors]
    ]
    if len(failed) > errors:
        lines.append(f"  and {len(failed) - errors} more; the output has them all")
    return "\n".join(lines)


def _best_of_each_prompt(results: Sequence[dict]) -> set:
    groups: dict[str | None, list[dict]] = {}
    for result in results:
        if result.get("Overall") is not None:
            groups.setdefault(result.get("prompt"), []).append(result)
    return {max(group, key=lambda result: result["Overall"])["id"] for group in groups.values() if len(group) > 1}


def _shorten(text: str, width: int, keep_end: bool = False) -> str:
    text = " ".join(text.split())
    if len(text) <= width:
        return text
    return "…" + text[-(width - 1) :] if keep_end else text[: width - 1] + "…"
