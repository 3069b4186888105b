"""Clips of the micro video model, in memory, and what is said of them: by the micro reward, by the world's measurement, and by the guard."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from results_section import interval

from videoalign.backbones.sampling import GeneratedClip, generate
from videoalign.clips.pixels import as_frames
from videoalign.files.atomic_file import write_json
from videoalign.generation.pipeline import Pipeline
from videoalign.judges import open_judge
from videoalign.judges.micro_world import MicroWorld
from videoalign.micro_world import caption, measure, sample_attributes
from videoalign.reward.clip import Frames
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.guard.comparing import Witness, verdict_of
from videoalign.reward.scoring_stream import score_clips
from videoalign.reward.video_reward import VideoReward
from videoalign.reward.win_rates import WinRate, win_rate

JUDGES = ("reward", "measured")
GUARDED = "guarded"  # what the guard watches: motion, flicker, sharpness, light, colour
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
    first_seed: int = 0,
    **changes: float | None,
) -> dict:
    """Marks of one clip a prompt (seed: ``first_seed`` and its number), [clips] by judge and mark; kept in ``file`` and taken from there.

    ``changes`` replace the model's own sampling defaults where they are not None.
    """
    if not file.exists():
        models = pipeline()
        chosen = {name: value for name, value in changes.items() if value is not None}
        settings = replace(models.backbone.sampling, **chosen)
        made = generate(
            models.backbone,
            models.vae,
            models.text_encoder,
            prompts,
            list(range(first_seed, first_seed + len(prompts))),
            settings,
            batch_size=BATCH,
            guidance=guidance,
        )
        write_json(file, marks_of(made, reward))
    return json.loads(file.read_text(encoding="utf-8"))


def marks_of(clips: Iterable[GeneratedClip], reward: VideoReward) -> dict:
    """Marks of clips by the reward, by the world's measurement and by what the guard watches: [clips] by judge and mark."""
    marks: dict[str, list[dict]] = {judge: [] for judge in (*JUDGES, GUARDED)}
    guard = open_judge("measures")
    for clip in clips:
        frames = as_frames(clip.video)
        shown = Frames(frames, clip.fps)
        [score] = reward.score([shown], [clip.prompt])
        measured = measure(frames, clip.prompt, clip.fps)
        for judge, found in zip(JUDGES, (score, measured), strict=True):
            marks[judge].append({name: getattr(found, name) for name in DIMENSIONS})
        [watched] = score_clips(guard, [shown], [clip.prompt])
        marks[GUARDED].append({key: value for key, value in watched.to_dict().items() if isinstance(value, float)})
    return {judge: {name: [row[name] for row in rows] for name in rows[0]} for judge, rows in marks.items()}


def verdict_word(base: dict, row: dict, prompts: Sequence[str]) -> str:
    """The guard's verdict on the row against the base, the reward being VideoReward: gained, hacked, lost, too few to tell."""
    title = {"reward": "the reward", "measured": "the world's measurement", GUARDED: "measurements"}
    dimensions = {"reward": VideoReward.dimensions, "measured": MicroWorld.dimensions, GUARDED: ()}
    reward, world, watched = (
        Witness(title[judge], dimensions[judge], _rows(base[judge]), _rows(row[judge])) for judge in (*JUDGES, GUARDED)
    )
    return verdict_of(reward, [world], watched, prompts).outcome.value


def _rows(columns: dict[str, list[float]]) -> list[dict[str, float]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def win_rates(base: dict, row: dict, prompts: Sequence[str]) -> list[WinRate]:
    """The row against the base: VQ, MQ, TA by the reward, then by the measurement."""
    return [win_rate(base[judge][name], row[judge][name], prompts) for judge in JUDGES for name in DIMENSIONS]


def rate_cells(rates: Sequence[WinRate]) -> list[str]:
    """Cells of a table: shares won in per cent with their 95 % intervals; ``RATE_COLUMNS`` are their headings."""
    return [interval(100 * rate.rate, 100 * rate.low, 100 * rate.high, digits=1) for rate in rates]
