"""What do particles that a latent reward chooses gain, for how much work?

Of each prompt N clips of the micro model are sampled plainly (classifier-free guidance 4), and with RGRP and Feynman-Kac steering by the shipped
latent reward. What a clip is worth is told by VideoReward and by the world's own measurement, which chose nothing, as its lead over the
mean of the plain ones of its prompt: means over prompts with Student's intervals. The plain clips of the seeds that the particles begin with are
a row of their own: what a method gains is its lead over theirs. Beside them stand the best of a few plain clips, chosen by
VideoReward on the finished clip or by the latent reward on its clean latent. The work is counted in evaluations of the network, 1 for a clip.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from micro_clips import prompts_of
from results_section import Section, benchmark_parser, interval

from videoalign.backbones.conditioning import collate
from videoalign.backbones.sampling import GeneratedClip, Sampler, euler, generate
from videoalign.clips.frames import Frames
from videoalign.clips.pixels import as_frames
from videoalign.generation.particles import ParticleSampler
from videoalign.generation.pipeline import Pipeline, load_pipeline
from videoalign.guidance.resampling.settings import POTENTIALS, FeynmanKacSettings, RGRPSettings
from videoalign.guidance.resampling.totals import RewardTotal
from videoalign.judges import open_judge
from videoalign.micro_world import measure
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.latent.reward_file import load_latent_reward
from videoalign.reward.scoring_stream import score_clips
from videoalign.reward.settings import EMBEDDED_LATENT_FILE
from videoalign.reward.student_interval import student_mean

HEADING = "Particles of the micro model: RGRP and Feynman-Kac steering"
EQUAL = dict.fromkeys(DIMENSIONS, 1.0)
REWARD, WORLD, LATENT = "VideoReward", "the measurement", "latent reward"
SAME = "plain, the seeds that particles begin with"


def main() -> None:
    """Run it."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=1, help="clips of each method and prompt (default: 1)")
    parser.add_argument("--plain", type=int, default=4, help="plain clips of each prompt (default: 4)")
    parser.add_argument("--steps", type=int, default=12, help="of a clip (default: 12)")
    parser.add_argument("--particles", type=int, nargs=2, default=[6, 4], help="of RGRP and of FK (default: 6 4)")
    options = parser.parse_args()
    with Section(HEADING, options) as section:
        run(section, options)


def run(section: Section, options) -> None:
    """The table."""
    began = time.perf_counter()
    pipeline, judge = load_pipeline("micro"), Judges()
    sampling = replace(pipeline.backbone.sampling, steps=options.steps, guidance_scale=4.0)
    samplers = {
        name: ParticleSampler("micro", settings, "cpu", pipeline.backbone)
        for name, settings in methods(options).items()
    }
    leads: dict[str, list[list[float]]] = {}

    def lead(name: str, marks: Sequence[Sequence[float]], base: np.ndarray) -> None:
        leads.setdefault(name, []).append(np.asarray(marks).mean(0) - base)

    for prompt in prompts_of(options.prompts, 77):
        plain = judge.of(pipeline, prompt, sampled(pipeline, sampling, prompt, range(options.plain), euler))
        base = plain[:, :2].mean(0)
        lead(SAME, plain[: options.seeds, :2], base)
        for few in range(2, options.plain + 1):
            for place, chosen_by in ((0, REWARD), (2, LATENT)):
                lead(f"best of {few}, {chosen_by}", plain[[int(plain[:few, place].argmax())], :2], base)
        for name, sampler in samplers.items():
            marks = judge.of(pipeline, prompt, sampled(pipeline, sampling, prompt, range(options.seeds), sampler))
            lead(name, marks[:, :2], base)
    section.paragraph(
        f"{options.prompts} prompts, {options.seeds} clip(s) of each, {options.steps} steps, lambda by default, weights alike. Lead over the mean of "
        f"{options.plain} plain clips: by {REWARD} in the mean of VQ, MQ and TA, by {WORLD} in degrees of fault; {time.perf_counter() - began:.0f} s in all."
    )
    section.table("clip", "runs of the network", f"lead by {REWARD}", f"by {WORLD}")
    for name, rows in leads.items():
        cost = samplers[name].cost() if name in samplers else 1.0 if name == SAME else float(name.split()[2].strip(","))
        cells = [interval(*_interval(column), digits=2) for column in np.array(rows).T]
        section.row(name, f"{cost:.2f}", *cells)


def methods(options) -> dict[str, RGRPSettings | FeynmanKacSettings]:
    """What is compared, by name."""
    search, steering = options.particles
    made: dict[str, RGRPSettings | FeynmanKacSettings] = {
        f"RGRP, {search} particles, b = {spread:g}": RGRPSettings(EQUAL, particles=search, spread=spread)
        for spread in (0.1, 1.0)
    }
    for eta in (0.5, 1.0):
        made[f"stochastic sampler alone, eta = {eta:g}"] = FeynmanKacSettings(EQUAL, strength=0.0, eta=eta)
    for potential in POTENTIALS:
        made[f"FK, {steering} particles, {potential}"] = FeynmanKacSettings(
            EQUAL, particles=steering, potential=potential
        )
    return made


def sampled(pipeline: Pipeline, sampling, prompt: str, seeds: Sequence[int], sampler: Sampler) -> list[GeneratedClip]:
    """Clips of a prompt."""
    prompts = [prompt] * len(seeds)
    return list(
        generate(pipeline.backbone, pipeline.vae, pipeline.text_encoder, prompts, seeds, sampling, sampler=sampler)
    )


class Judges:
    """VideoReward, the world's measurement, and the latent reward on the clean latent."""

    def __init__(self) -> None:
        latent = load_latent_reward(Path(EMBEDDED_LATENT_FILE))
        self.reward = open_judge("videoreward:micro")
        self.latent = RewardTotal(latent.rewards, RGRPSettings(EQUAL), latent.calibration)

    def of(self, pipeline: Pipeline, prompt: str, clips: Sequence[GeneratedClip]) -> np.ndarray:
        """[clips, 3]: the mean of VideoReward's marks, the measurement, the latent reward's total."""
        frames = [as_frames(clip.video) for clip in clips]
        shown = [Frames(one, clip.fps) for one, clip in zip(frames, clips, strict=True)]
        marks = [one.marks for one in score_clips(self.reward, shown, [prompt] * len(clips))]
        told = collate(pipeline.text_encoder.encode([prompt]) * len(clips))
        totals = self.latent(torch.stack([clip.latents for clip in clips]), 0.0, told)
        measured = [measure(one, prompt, clip.fps).overall for one, clip in zip(frames, clips, strict=True)]
        return np.array([[np.mean([row[name] for name in DIMENSIONS]) for row in marks], measured, totals]).T


def _interval(values: Sequence[float]) -> tuple[float, float, float]:
    found = student_mean(values)
    return float(np.mean(values)), found.low, found.high


if __name__ == "__main__":
    main()
