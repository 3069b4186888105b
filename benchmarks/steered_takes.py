"""Clips of the micro model by samplers that a latent reward steers, judged as the plain ones are."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from observed_takes import Observed, values

from videoalign.backbones.backbone import Backbone
from videoalign.backbones.flow_path import seeded_noise
from videoalign.backbones.sampling import sample
from videoalign.clips.frames import Frames
from videoalign.clips.pixels import as_frames
from videoalign.files.atomic_file import replacing
from videoalign.generation.particles import ParticleSampler
from videoalign.generation.pipeline import reward_guidance
from videoalign.generation.search.takes import PromptTakes
from videoalign.guidance.resampling.settings import FeynmanKacSettings, ParticleSettings, RGRPSettings
from videoalign.guidance.settings import GuidanceSettings
from videoalign.micro_world import measure
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.judge import Judge
from videoalign.reward.scoring_stream import score_clips

EQUAL = dict.fromkeys(DIMENSIONS, 1.0)


@dataclass(frozen=True)
class Steering:
    """A sampler that is compared.

    Attributes:
        run: (takes, seed) -> latents [1, C, T, H, W], and the work in plain clips.
        keeps_seed: whether its clip resembles the plain one of its seed. Then it is held to that, which tells the same with less chance in
            it; else to the mean of the prompt's.
    """

    run: Callable[[PromptTakes, int], tuple[torch.Tensor, float]]
    keeps_seed: bool = True


@dataclass(frozen=True)
class Steered:
    """A clip by another sampler than the plain one.

    Attributes:
        seed: of the noise that it begins with.
        finished, measured: [3] VQ, MQ, TA by the video judge and by the world's measurement.
        work: in plain clips.
    """

    seed: int
    finished: np.ndarray
    measured: np.ndarray
    work: float

    def gains(self, plain: Observed, keeps_seed: bool) -> tuple[float, float, float]:
        """Over plain clips of the prompt: by the judge in deviations within the prompt, by the measurement in degrees of fault; and the
        work. See ``Steering`` for ``keeps_seed``."""
        deviation = np.maximum(plain.finished.std(0), 1e-6)
        which = [self.seed] if keeps_seed else slice(None)
        judged = (self.finished - plain.finished[which].mean(0)) / deviation
        return float(judged.mean()), float((self.measured - plain.measured[which].mean(0)).mean()), self.work


def steerings(latent_reward: Path, backbone: Backbone) -> dict[str, Steering]:
    """What is compared by name; what stands before the comma is the line of the picture."""
    made = {
        f"guidance, strength {GuidanceSettings().strength:g}": guided(GuidanceSettings(EQUAL), latent_reward, backbone)
    }
    for count in (3, 6):
        settings = RGRPSettings(EQUAL, particles=count, at_once=count)
        made[f"RGRP, {count} particles"] = particles(settings, latent_reward, backbone)
    settings = FeynmanKacSettings(EQUAL, particles=4, at_once=4)
    made["Feynman-Kac, 4 particles"] = particles(settings, latent_reward, backbone, keeps_seed=False)
    return made


def guided(settings: GuidanceSettings, latent_reward: Path, backbone: Backbone) -> Steering:
    """Unit-free reward guidance. Its work is by CPU seconds: what it adds is the reward's gradient."""
    guidance = reward_guidance(str(latent_reward), settings, "cpu", backbone)

    def run(takes: PromptTakes, seed: int) -> tuple[torch.Tensor, float]:
        hook, inside = guidance(takes.positive), 0.0

        def timed(x: torch.Tensor, sigma: torch.Tensor, velocity: torch.Tensor) -> torch.Tensor:
            nonlocal inside
            start = time.process_time()
            shifted = hook(x, sigma, velocity)
            inside += time.process_time() - start
            return shifted

        start = time.process_time()
        latents = sample(takes.velocity, seeded_noise([seed], takes.shape), takes.levels, hook=timed)
        whole = time.process_time() - start
        return latents, whole / (whole - inside)

    return Steering(run)


def particles(settings: ParticleSettings, latent_reward: Path, backbone: Backbone, keeps_seed: bool = True) -> Steering:
    """Particles, as ``videoalign generate`` samples them. Their work is the network's evaluations."""
    sampler = ParticleSampler(str(latent_reward), settings, "cpu", backbone)

    def run(takes: PromptTakes, seed: int) -> tuple[torch.Tensor, float]:
        before, plain = sampler.evaluations, len(takes.levels) - 1
        return sampler(takes.batch([seed])), (sampler.evaluations - before) / plain

    return Steering(run, keeps_seed)


def steered(file: Path, steering: Steering, takes: PromptTakes, seed: int, prompt: str, judge: Judge) -> Steered:
    """Sample and judge, or read what an earlier run kept in ``file``."""
    if not file.exists():
        made = _steered(steering, takes, seed, prompt, judge)
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **vars(made))
    with np.load(file) as stored:
        return Steered(int(stored["seed"]), stored["finished"], stored["measured"], float(stored["work"]))


def _steered(steering: Steering, takes: PromptTakes, seed: int, prompt: str, judge: Judge) -> Steered:
    latents, work = steering.run(takes, seed)
    frames, fps = as_frames(takes.decoded(latents[0].float())), takes.sampling.fps
    (score,) = score_clips(judge, [Frames(frames, fps)], [prompt])
    told = measure(frames, prompt, fps)
    return Steered(seed, values([score.marks])[0], np.array([getattr(told, name) for name in DIMENSIONS]), work)
