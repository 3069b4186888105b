"""The demo's page: one self-contained HTML file with moving clips, frame strips and score bars, the best first."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..pages.render import write_page
from ..reward.dimensions import DIMENSIONS, MEANING
from .demo_clips import DemoClip

STRIP_FRAMES = 6
BAR_LIMIT = 3.0  # standard deviations at the ends of a bar


def write_demo_page(path: Path, clips: Sequence[DemoClip], results: Sequence[dict]) -> Path:
    """Write the page; clips and results in the order of the ranking.

    Args:
        results: objects of ``videoalign score --json`` with VQ, MQ, TA and Overall.
    """
    cards = [
        _card(rank, len(clips), clip, result) for rank, (clip, result) in enumerate(zip(clips, results, strict=True), 1)
    ]
    return write_page(path, "demo.html.j2", title="Which clip is best, and why?", prompt=clips[0].prompt, cards=cards)


def _card(rank: int, count: int, clip: DemoClip, result: dict) -> dict:
    bars = [_bar(MEANING[name].capitalize(), result[name], BAR_LIMIT) for name in DIMENSIONS]
    return {
        "name": clip.name,
        "note": clip.note,
        "kind": {1: "best", count: "worst"}.get(rank, ""),
        "moving": _moving(clip),
        "strip": _strip(clip),
        "bars": [*bars, _bar("Overall (sum)", result["Overall"], BAR_LIMIT * len(DIMENSIONS))],
    }


def _bar(label: str, value: float, limit: float) -> dict:
    return {"label": label, "value": value, "width": min(abs(value) / limit, 1) * 50}


def _moving(clip: DemoClip) -> str:
    from PIL import Image

    frames = [Image.fromarray(frame) for frame in clip.frames]
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "WEBP", save_all=True, append_images=frames[1:], duration=round(1000 / clip.fps), loop=0, lossless=True
    )
    return _data_address("webp", buffer)


def _strip(clip: DemoClip) -> str:
    from PIL import Image

    chosen = np.linspace(0, len(clip.frames) - 1, STRIP_FRAMES).round().astype(int)
    gap = np.full((clip.frames.shape[1], 3, 3), 255, np.uint8)
    parts = [part for index in chosen for part in (clip.frames[index], gap)][:-1]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(parts, axis=1)).save(buffer, "PNG")
    return _data_address("png", buffer)


def _data_address(kind: str, buffer: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
