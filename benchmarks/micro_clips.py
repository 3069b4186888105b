"""Clips of the micro video model, in memory, and what two judges say of them: the micro reward and the world's measurement."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from results_section import interval

from videoalign.backbones.sampling import generate
from videoalign.clips.pixels import as_frames
from videoalign.files.atomic_file import write_json
from videoalign.generation.pipeline import Pipeline
from videoalign.micro_world import caption, measure, sample_attributes
from videoalign.reward.clip import Frames
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.video_reward import VideoReward
from videoalign.reward.win_rates import WinRate, win_rate

JUDGES = ("reward", "measured")
RATE_COLUMNS = ("VQ, micro VideoReward", "MQ", "TA", "VQ, measured", "MQ", "TA")
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

        models = pipeline()
        chosen = {name: value for name, value in changes.items() if value is not None}
        settings = replace(models.backbone.sampling, **chosen)
        seeds = list(range(len(prompts)))
        made = generate(
            models.backbone,
            models.vae,
            models.text_encoder,
            prompts,
            seeds,
            settings,
            batch_size=BATCH,
            guidance=guidance,
        )
        scores, measurements = [], []
        for clip, prompt in zip(made, prompts, strict=True):
            frames = as_frames(clip.video)
            scores += reward.score([Frames(frames, clip.fps)], [prompt])
            measurements.append(measure(frames, prompt, clip.fps))
        row = {
            judge: {name: [getattr(one, name) for one in results] for name in DIMENSIONS}
            for judge, results in zip(JUDGES, (scores, measurements), strict=True)
        }
        write_json(file, row)
    return json.loads(file.read_text(encoding="utf-8"))


def win_rates(base: dict, row: dict, prompts: Sequence[str]) -> list[WinRate]:
    """The row against the base: VQ, MQ, TA by the reward, then by the measurement."""
    return [win_rate(base[judge][name], row[judge][name], prompts) for judge in JUDGES for name in DIMENSIONS]


def rate_cells(rates: Sequence[WinRate]) -> list[str]:
    """Cells of a table: shares won in per cent with their 95 % intervals; ``RATE_COLUMNS`` are their headings."""
    return [interval(100 * rate.rate, 100 * rate.low, 100 * rate.high, digits=1) for rate in rates]
