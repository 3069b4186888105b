"""The table that ``videoalign score`` prints for people."""

from __future__ import annotations

from collections.abc import Sequence

from ...reward.dimensions import SIGMA, VIDEO_REWARD_DIMENSIONS, VIDEO_REWARD_OVERALL
from ...reward.judge import Dimension

VIDEO_REWARD = (*VIDEO_REWARD_DIMENSIONS, VIDEO_REWARD_OVERALL)
UNIT = "Scores are standard deviations of the reward's training set: 0 is average. Compare clips of one prompt, length and fps."


def score_table(results: Sequence[dict], width: int = 100, dimensions: Sequence[Dimension] = VIDEO_REWARD) -> str:
    """A readable table of results (``videoalign score --json`` objects), about ``width`` characters wide.

    Failed rows show their error; what to know of single clips stands below; the best of two or more clips with the same prompt, by the
    last of ``dimensions``, is marked with a star. Where the marks do not fit side by side they stand one below the other, without a
    star.
    """
    if len(dimensions) * 9 > width:
        return _marks_below_each_other(results, dimensions)
    columns = [dimension.name for dimension in dimensions]
    best = _best_of_each_prompt(results, dimensions[-1])
    prompts = any(result.get("prompt") for result in results)
    cell = max(9, *(len(name) + 2 for name in columns))
    fixed = cell * len(columns) + 4
    name_width = min(
        max([len(str(result["id"])) for result in results], default=4), max(width - fixed - (24 if prompts else 0), 16)
    )
    prompt_width = max(width - fixed - name_width, 12) if prompts else 0
    lines = [
        f"  {'clip':<{name_width}}" + "".join(f"{name:>{cell}}" for name in columns) + ("  prompt" if prompts else "")
    ]
    lines.append("-" * len(lines[0]))
    for result in results:
        mark = "* " if result["id"] in best else "  "
        name = f"{mark}{_shorten(str(result['id']), name_width, keep_end=True):<{name_width}}"
        if "error" in result:
            lines.append(f"{name}  failed: {result['error']}")
            continue
        values = "".join(f"{'-' if result[name] is None else f'{result[name]:+.3f}':>{cell}}" for name in columns)
        lines.append(name + values + (f"  {_shorten(result.get('prompt') or '', prompt_width)}" if prompts else ""))
    return "\n".join([*lines, "", _unit(dimensions), *_notes(results)])


def _marks_below_each_other(results: Sequence[dict], dimensions: Sequence[Dimension]) -> str:
    name_width = max(len(dimension.name) for dimension in dimensions)
    lines = []
    for result in results:
        prompt = result.get("prompt")
        lines += [str(result["id"]) + (f"  ({_shorten(prompt, 60)})" if prompt else "")]
        if "error" in result:
            lines += [f"  failed: {result['error']}", ""]
            continue
        for dimension in dimensions:
            mark = result[dimension.name]
            value = "-" if mark is None else f"{mark:.4g}"
            lines.append(f"  {dimension.name:<{name_width}}  {value:>9}  {dimension.meaning}: {dimension.unit}")
        lines.append("")
    return "\n".join([*lines, *_notes(results)])


def score_summary(results: Sequence[dict], errors: int = 10, dimensions: Sequence[Dimension] = VIDEO_REWARD) -> str:
    """Mean and range of each score, and the first failed rows: what a table of thousands of rows would not show."""
    lines = []
    for name in (dimension.name for dimension in dimensions):
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
    return "\n".join([*lines, *_notes(results)])


def _notes(results: Sequence[dict]) -> list[str]:
    """A line for each thing to know of clips: the first that it is true of, and how many more there are."""
    clips: dict[str, list[str]] = {}
    for result in results:
        refused = [] if "error" in result else result.get("errors", {}).items()
        for note in [*result.get("notes", ()), *(f"no marks of {judge}: {cause}" for judge, cause in refused)]:
            clips.setdefault(note, []).append(str(result["id"]))
    return [
        f"note: {ids[0]}{f' and {len(ids) - 1} more' if len(ids) > 1 else ''}: {note}" for note, ids in clips.items()
    ]


def _unit(dimensions: Sequence[Dimension]) -> str:
    units = dict.fromkeys(dimension.unit for dimension in dimensions)
    if list(units) == [SIGMA]:
        return UNIT
    if len(units) == 1:
        return f"Marks are {next(iter(units))}."
    return "Marks are " + "; ".join(f"{dimension.name}: {dimension.unit}" for dimension in dimensions) + "."


def _best_of_each_prompt(results: Sequence[dict], by: Dimension) -> set:
    groups: dict[str | None, list[dict]] = {}
    for result in results:
        if result.get(by.name) is not None:
            groups.setdefault(result.get("prompt"), []).append(result)
    return {
        max(group, key=lambda result: by.merit(result[by.name]))["id"] for group in groups.values() if len(group) > 1
    }


def _shorten(text: str, width: int, keep_end: bool = False) -> str:
    text = " ".join(text.split())
    if len(text) <= width:
        return text
    return "…" + text[-(width - 1) :] if keep_end else text[: width - 1] + "…"
