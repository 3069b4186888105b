"""Clips of the micro model by samplers that a latent reward steers, judged as the plain ones are."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from observed_takes import Observed, values

from videoalign.backbones.flow_path import seeded_noise
from videoalign.backbones.sampling import sample
from videoalign.clips.frames import Frames
from videoalign.clips.pixels import as_frames
from videoalign.files.atomic_file import replacing
from videoalign.generation.pipeline import reward_guidance
from videoalign.generation.search.takes import PromptTakes
from videoalign.guidance.settings import GuidanceSettings
from videoalign.micro_world import measure
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.judge import Judge
from videoalign.reward.scoring_stream import score_clips

SEEDS = (0, 1, 2, 3)
EQUAL = dict.fromkeys(DIMENSIONS, 1.0)


@dataclass(frozen=True)
class Steered:
    """Clips of the first seeds of a prompt by another sampler, K of them.

    Attributes:
        finished, measured: [K, 3] VQ, MQ, TA by the video judge and by the world's measurement.
        work: of one clip, in plain clips.
    """

    finished: np.ndarray
    measured: np.ndarray
    work: float

    def gains(self, plain: Observed) -> tuple[float, float, float]:
        """Over the plain clips of the same seeds: by the judge in deviations within the prompt, by the measurement in degrees of fault;
        and the work."""
        deviation = np.maximum(plain.finished.std(0), 1e-6)
        same = slice(0, len(self.finished))
        judged = ((self.finished - plain.finished[same]) / deviation).mean()
        return float(judged), float((self.measured - plain.measured[same]).mean()), self.work


Sampler = Callable[[PromptTakes, torch.Tensor], torch.Tensor]
"""(takes, noise [1, C, T, H, W]) -> latents of the same shape."""


def guided(strength: float, latent_reward: Path) -> Sampler:
    """Unit-free reward guidance with equal weights."""

    def run(takes: PromptTakes, noise: torch.Tensor) -> torch.Tensor:
        settings = GuidanceSettings(EQUAL, strength)
        hook = reward_guidance(str(latent_reward), settings, "cpu", takes.pipeline.backbone)(takes.positive)
        return sample(takes.velocity, noise, takes.levels, hook=hook)

    return run


def steered(file: Path, sampler: Sampler, takes: PromptTakes, prompt: str, judge: Judge, by_time: bool) -> Steered:
    """Sample and judge, or read what an earlier run kept in ``file``.

    Args:
        by_time: tell the work by CPU seconds beside a plain clip's, where most of it is not the network's; else by its evaluations.
    """
    if not file.exists():
        made = _steered(sampler, takes, prompt, judge, by_time)
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **vars(made))
    with np.load(file) as stored:
        return Steered(stored["finished"], stored["measured"], float(stored["work"]))


def _steered(sampler: Sampler, takes: PromptTakes, prompt: str, judge: Judge, by_time: bool) -> Steered:
    frames, work = [], []
    for seed in SEEDS:
        noise = seeded_noise([seed], takes.shape)
        plain = _cost(takes, by_time, lambda x: sample(takes.velocity, x, takes.levels), noise)[1]
        latents, own = _cost(takes, by_time, lambda x: sampler(takes, x), noise)
        work.append(own / plain)
        frames.append(as_frames(takes.decoded(latents[0].float())))
    fps = takes.sampling.fps
    scores = score_clips(judge, [Frames(clip, fps) for clip in frames], [prompt] * len(frames))
    measured = [measure(clip, prompt, fps) for clip in frames]
    return Steered(
        values([one.marks for one in scores]),
        np.array([[getattr(one, name) for name in DIMENSIONS] for one in measured]),
        float(np.mean(work)),
    )


def _cost(takes: PromptTakes, by_time: bool, run: Callable, noise: torch.Tensor) -> tuple[torch.Tensor, float]:
    evaluations, start = takes.evaluations, time.process_time()
    latents = run(noise)
    return latents, time.process_time() - start if by_time else float(takes.evaluations - evaluations)
