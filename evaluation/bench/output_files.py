"""The files of a benchmark run: those of the official script, and agreement.json with everything.

out_single.csv, out_pair.csv and accuracy.json have the names, columns and keys of KwaiVGI/VideoAlign's
eval_videogen_rewardbench.py, so that what reads its files reads these. Where that script would have stopped (a clip that
fails) a score is empty here; an accuracy that it cannot compute (no pair with a winner) is null.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...files.atomic_file import write_text
from ...files.csv_text import csv_text
from ...files.json_text import finite_or_none
from ...preferences.importers.videoalign import ORDER
from ...reward.judge import Dimension
from .measure import Accuracies, Measurement
from .pairs import SIDES, BenchClip, BenchPair

SINGLE, PAIR, ACCURACY, AGREEMENT = "out_single.csv", "out_pair.csv", "accuracy.json", "agreement.json"
FILES = (SINGLE, PAIR, ACCURACY, AGREEMENT)


def write_files(
    folder: Path,
    pairs: Sequence[BenchPair],
    results: Mapping[BenchClip, Mapping],
    measurement: Measurement,
    about: Mapping[str, Any],
    scores: Sequence[Dimension],
) -> None:
    """Write all files, each atomically.

    Args:
        results: by clip its scores, or an error.
        about: what was measured and how, for the head of agreement.json.
        scores: what the judge gives marks for.

    Raises:
        VideoAlignError: nothing can be written there.
    """
    names = [dimension.name for dimension in scores]
    texts = {
        SINGLE: _table(_single_rows(pairs, results, names), ()),
        PAIR: _table(_pair_rows(pairs, results, names), ORDER),
        ACCURACY: json.dumps(official_accuracies(measurement.accuracies), indent=4) + "\n",
        AGREEMENT: json.dumps({**about, **agreement_record(measurement)}, indent=1, ensure_ascii=False) + "\n",
    }
    for name, text in texts.items():
        write_text(folder / name, text, remedy="Choose another --output.")


def official_accuracies(accuracies: Accuracies) -> dict[str, dict[str, float | None]]:
    """The content of accuracy.json."""
    return {
        f"{label} Accuracy": {
            "with_ties": finite_or_none(agreement.official_with_ties),
            "without_ties": finite_or_none(agreement.official_without_ties),
        }
        for label, agreement in accuracies.items()
    }


def agreement_record(measurement: Measurement) -> dict[str, Any]:
    """Everything that was measured, ready for JSON: what does not exist is null."""
    comparison = measurement.comparison
    record = {
        "pairs_measured": len(comparison.pairs),
        "pairs_left_out": comparison.left_out,
        "prompts": len({pair.prompt for pair in comparison.pairs}),
        "not_scored": list(comparison.not_scored),
        "failed_clips": [
            {"path": failure.path, "prompt": failure.clip.prompt, "at": list(failure.where), "error": failure.error}
            for failure in comparison.failures
        ],
        "dimensions": {label: asdict(agreement) for label, agreement in measurement.accuracies.items()},
        "grouped_by": measurement.grouped_by,
        "groups": {
            value: {label: asdict(agreement) for label, agreement in accuracies.items()}
            for value, accuracies in measurement.groups.items()
        },
    }
    return finite_or_none(record)


def _single_rows(pairs: Sequence[BenchPair], results: Mapping[BenchClip, Mapping], names: Sequence[str]) -> list[dict]:
    """One row a clip and prompt, by path."""
    rows: dict[BenchClip, dict] = {}
    for pair in pairs:
        for side, clip, path in zip(SIDES, pair.clips, pair.paths, strict=True):
            if clip not in rows:
                result = results.get(clip, {})
                fps, frames = pair.of_side("fps", side), pair.of_side("num_frames", side)
                rows[clip] = {
                    "path": path,
                    "model": pair.of_side("model", side),
                    "prompt": clip.prompt,
                    "fps": result.get("fps") if fps is None else fps,
                    "num_frames": result.get("total_frames") if frames is None else frames,
                    **{f"reward_{name}": result.get(name) for name in names},
                }
    return sorted(rows.values(), key=lambda row: row["path"])


def _pair_rows(pairs: Sequence[BenchPair], results: Mapping[BenchClip, Mapping], names: Sequence[str]) -> list[dict]:
    """The benchmark's columns and the scores of both sides."""
    rows = []
    for pair in pairs:
        cells = {"path_A": pair.paths[0], "path_B": pair.paths[1], "prompt": pair.prompt, **pair.labels}
        cells = {**{name: cell for name, cell in pair.columns.items() if name not in cells}, **cells}
        scores = {
            f"reward_{name}_{side}": results.get(clip, {}).get(name)
            for name in names
            for side, clip in zip(SIDES, pair.clips, strict=True)
        }
        rows.append({**cells, **scores})
    return rows


def _table(rows: Iterable[dict], first: Sequence[str]) -> str:
    """CSV with the columns of ``first`` that occur, then the others, the scores last."""
    rows = list(rows)
    columns = dict.fromkeys(name for row in rows for name in row)
    scores = [name for name in columns if name.startswith("reward_")]
    header = [name for name in first if name in columns]
    header += [name for name in columns if name not in first and name not in scores] + scores
    return csv_text(rows, header)
