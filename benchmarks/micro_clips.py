"""Clips of the micro video model, in memory, and what two judges say of them: the micro reward and the world's measurement."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from videoalign.backbones.sampling import generate
from videoalign.clips.pixels import as_frames
from videoalign.evaluation.compare.win_rates import win_rate
from videoalign.generation.pipeline import Pipeline
from videoalign.micro_world import caption, measure, sample_attributes
from videoalign.reward.clip import Frames
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.video_reward import VideoReward

JUDGES = ("reward", "measured")
BATCH = 50


def prompts_of(count: int, seed: int) -> list[str]:
    """Random captions of the micro world; equal seeds give equal captions."""
    return [caption(sample_attributes(np.random.default_rng([seed, index]))) for index in range(count)]


def judged_row(
    file: Path,
    pipeline: Callable[[], Pipeline],
    reward: VideoReward,
    prompts: Sequence[str],
    guidance: Callable | None = None,
    **changes: float | None,
) -> dict:
    """Scores of one clip a prompt (seed: its number), [clips] by judge and dimension; kept in ``file`` and taken from there.

    ``changes`` replace the model's own sampling defaults where they are not None.
    """
    if not file.exists():
        from dataclasses import replace

        own = pipeline()
        chosen = {name: value for name, value in changes.items() if value is not None}
        settings = replace(own.backbone.sampling, **chosen)
        seeds = list(range(len(prompts)))
        made = generate(
            own.backbone, own.vae, own.text_encoder, prompts, seeds, settings, batch_size=BATCH, guidance=guidance
        )
        scores, found = [], []
        for clip, prompt in zip(made, prompts, strict=True):
            frames = as_frames(clip.video)
            scores += reward.score([Frames(frames, clip.fps)], [prompt])
            found.append(measure(frames, prompt, clip.fps))
        row = {
            judge: {name: [getattr(one, name) for one in results] for name in DIMENSIONS}
            for judge, results in zip(JUDGES, (scores, found), strict=True)
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(row))
    return json.loads(file.read_text())


def win_rates(base: dict, row: dict, prompts: Sequence[str]) -> str:
    """The row against the base: share won with its 95 % interval, VQ/MQ/TA by each judge."""
    cells = []
    for judge in JUDGES:
        rates = [win_rate(base[judge][name], row[judge][name], prompts) for name in DIMENSIONS]
        shown = "  ".join(f"{100 * own.rate:5.1f} [{100 * own.low:4.1f}, {100 * own.high:4.1f}]" for own in rates)
        cells.append(f"{judge} {shown}")
    return " | ".join(cells)
