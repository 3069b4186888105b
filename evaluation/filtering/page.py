"""The page of a filtered set: how many clips each reason dropped, how the numbers lie to the gates, and frames of dropped and kept clips."""

from __future__ import annotations

import base64
import io
import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ...clips.clip_fault import reading
from ...clips.frames import View, read_frames
from ...errors import ClipError
from ...pages.render import write_page
from ...reward.gates import Gate, amount
from .choosing import Choice, Ranking

PICTURES = 5
PICTURE_SIDE = 96  # pixels of the shorter side
BINS = 32


@dataclass(frozen=True)
class Shown:
    """What a page is told besides the choices.

    Attributes:
        scores: name of the score file.
        gates: as they are called in the file.
        ranking: how the best were found, if so.
        examples: most clips that are shown of those that are dropped; half as many of those that are kept.
        notes: sentences to know before training.
    """

    scores: str
    gates: Sequence[Gate]
    ranking: Ranking | None
    examples: int
    notes: Sequence[str]


def write_filter_page(path: Path, choices: Sequence[Choice], shown: Shown) -> Path:
    """Write the page, self-contained; returns its path.

    Raises:
        FileError: it cannot be written.
    """
    kept = [choice for choice in choices if choice.kept]
    dropped = [choice for choice in choices if not choice.kept]
    columns = list(
        dict.fromkeys([gate.name for gate in shown.gates] + list(shown.ranking.weights if shown.ranking else ()))
    )
    lot = random.Random(0)
    return write_page(
        path,
        "filter.html.j2",
        title=f"{len(kept)} of {len(choices)} clips kept",
        scores=shown.scores,
        rules=[str(gate) for gate in shown.gates] + ([str(shown.ranking)] if shown.ranking else []),
        notes=list(shown.notes),
        reasons=reason_rows(choices),
        charts=[_chart(column, choices, [gate for gate in shown.gates if gate.name == column]) for column in columns],
        groups=[
            _group("Dropped", "dropped", dropped, _of_each_reason(dropped, shown.examples, lot), columns),
            _group("Kept", "kept", kept, lot.sample(kept, min(len(kept), shown.examples // 2)), columns),
        ],
    )


def reason_rows(choices: Sequence[Choice]) -> list[dict]:
    """For each kind of reason how many clips have it, how many have it alone, and its share of all; the most first."""
    alone = Counter(choice.reasons[0].kind for choice in choices if len({one.kind for one in choice.reasons}) == 1)
    counts = Counter(kind for choice in choices for kind in {one.kind for one in choice.reasons})
    ordered = sorted(counts, key=lambda kind: (-counts[kind], kind))
    return [
        {"kind": kind, "count": counts[kind], "alone": alone[kind], "share": 100 * counts[kind] / len(choices)}
        for kind in ordered
    ]


def _of_each_reason(dropped: Sequence[Choice], most: int, lot: random.Random) -> list[Choice]:
    """Up to ``most`` clips by lot, in turn one of each reason, so that a rare reason is seen too; in the file's order."""
    piles: dict[str, list[int]] = {}
    for index in lot.sample(range(len(dropped)), len(dropped)):
        piles.setdefault(dropped[index].reasons[0].kind, []).append(index)
    taken: list[int] = []
    while any(piles.values()) and len(taken) < most:
        for pile in piles.values():
            if pile and len(taken) < most:
                taken.append(pile.pop())
    return [dropped[index] for index in sorted(taken)]


def _group(
    title: str, kind: str, all_of_them: Sequence[Choice], shown: Sequence[Choice], columns: Sequence[str]
) -> dict:
    return {
        "title": title,
        "kind": kind,
        "count": len(all_of_them),
        "cards": [_card(choice, columns) for choice in shown],
    }


def _card(choice: Choice, columns: Sequence[str]) -> dict:
    row = choice.row
    pictures, fault = _pictures(row.file) if row.file.is_file() else ([], "")
    numbers = [(column, row.value(column)) for column in columns]
    return {
        "name": row.id,
        "prompt": row.prompt,
        "address": row.file.resolve().as_uri() if row.file.is_file() else None,
        "pictures": pictures,
        "fault": fault,
        "reasons": [reason.text for reason in choice.reasons],
        "numbers": [{"name": name, "value": amount(value)} for name, value in numbers if value is not None],
    }


def _chart(column: str, choices: Sequence[Choice], gates: Sequence[Gate]) -> dict:
    """Bars of kept and dropped clips over a column's values, and where its gates stand; in per cent of the chart."""
    values = [(choice.row.value(column), choice.kept) for choice in choices]
    known = [(value, kept) for value, kept in values if value is not None]
    edges = [value for value, _ in known] + [gate.bound for gate in gates] or [0.0]
    lowest, highest = min(edges), max(edges)
    low, width = lowest - 0.02 * ((highest - lowest) or 1.0), 1.04 * ((highest - lowest) or 1.0)
    counts = np.zeros((2, BINS), int)
    for value, kept in known:
        counts[int(kept), min(int((value - low) / width * BINS), BINS - 1)] += 1
    tallest = max(int(counts.sum(0).max()), 1)
    bars = [
        {
            "left": 100 * index / BINS,
            "kept": 100 * counts[1, index] / tallest,
            "dropped": 100 * counts[0, index] / tallest,
        }
        for index in range(BINS)
        if counts[:, index].any()
    ]
    return {
        "name": column,
        "low": amount(lowest),
        "high": amount(highest),
        "tallest": tallest,
        "width": 100 / BINS,
        "bars": bars,
        "limits": [
            {"left": 100 * (gate.bound - low) / width, "text": f"{gate.sign} {amount(gate.bound)}"} for gate in gates
        ],
        "without": len(values) - len(known),
    }


def _pictures(clip: Path) -> tuple[list[str], str]:
    """Addresses of some frames, spread evenly; or why there are none."""
    try:
        with reading(clip):
            frames = read_frames(clip, View(_spread, _small)).as_bytes()
    except ClipError as error:
        return [], str(error)
    return [_address(frame) for frame in frames], ""


def _spread(total: int, fps: float) -> list[int]:
    count = min(PICTURES, total)
    return [int((number + 0.5) * total / count) for number in range(count)]


def _small(frames: torch.Tensor) -> torch.Tensor:
    """[n, 3, H, W] with a shorter side of ``PICTURE_SIDE``; a small picture is enlarged pixel by pixel."""
    height, width = frames.shape[2:]
    side = min(height, width)
    if side <= PICTURE_SIDE:
        times = math.ceil(PICTURE_SIDE / side)
        return frames.repeat_interleave(times, 2).repeat_interleave(times, 3)
    size = [max(1, round(length * PICTURE_SIDE / side)) for length in (height, width)]
    return torch.nn.functional.interpolate(frames.float(), size, mode="area").round()


def _address(frame: np.ndarray) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "WEBP", quality=75)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
