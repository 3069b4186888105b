"""What does the work that a search does gain, on the micro model, against the same work spent otherwise?

Of each prompt N seeds are sampled to the end and watched (classifier-free guidance 4): after some steps by VideoReward on the
decoded clean clip that the sampler foresees, and by the latent reward on the noisy latent. Then every way to choose is played on the same
takes: best of n, one early look, halving. Guidance, RGRP and Feynman-Kac steering by the latent reward sample clips of their own, each from a
seed's noise. What a way gains over a random seed is told by VideoReward on the finished clips and by the world's own measurement, which chose
nothing, as means over prompts with Student's intervals. Work is in evaluations of the network, in units of one plain clip; of guidance, which
asks no more of the network, in CPU seconds. Judging, decoding and the latent reward's passes are not counted.

    python benchmarks/seed_search.py FOLDER [--prompts 120] [--picture search.svg]

FOLDER keeps the takes (about 1 MB a prompt) and what came of the steered clips; a second run makes only what is missing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import comb
from pathlib import Path

import numpy as np
from micro_clips import prompts_of
from observed_takes import Observed, observe
from results_section import Section, benchmark_parser, interval
from steered_takes import steered, steerings

from videoalign.generation.pipeline import load_pipeline
from videoalign.generation.search.takes import PromptTakes
from videoalign.judges import open_judge
from videoalign.reward.latent.reward_file import load_latent_reward
from videoalign.reward.search.plan import cost, schedule
from videoalign.reward.settings import EMBEDDED_LATENT_FILE
from videoalign.reward.student_interval import student_mean
from videoalign.reward.z_scores import z_scores

HEADING = "Searching seeds of the micro model"
PREVIEW, LATENT, FINISHED = "previews, VideoReward", "latent reward", "best of n, VideoReward"
HALVINGS = ((1, 3), (2, 4), (1, 2, 4), (2, 4, 8))
TOLD = 1.8
"""Clips' work at which the share of best of N's gain is told."""


@dataclass(frozen=True)
class Way:
    """A way to choose, played on all prompts.

    Attributes:
        line: of the picture.
        name: of the row.
        work: in plain clips.
        reward, measured: [prompts] gain of the chosen clip over the mean of its prompt's: VideoReward's in standard deviations within
            prompts, the measurement's in degrees of fault, means of VQ, MQ and TA.
    """

    line: str
    name: str
    work: float
    reward: np.ndarray
    measured: np.ndarray


@dataclass(frozen=True)
class Takes:
    """What is known of a prompt's takes.

    Attributes:
        totals: line and step -> [S] what a look says, means of z-scores of VQ, MQ and TA.
        reward, measured: [S] gains of each seed.
    """

    totals: dict[tuple[str, int], np.ndarray]
    reward: np.ndarray
    measured: np.ndarray


def main() -> None:
    """Watch takes, play every way, print the section and draw the picture."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prompts", type=int, default=120)
    parser.add_argument("--seeds", type=int, default=8, help="of each prompt (default: 8)")
    parser.add_argument("--steps", type=int, default=12, help="of a clip (default: 12)")
    parser.add_argument("--looks", type=int, nargs="+", default=[1, 2, 3, 4, 6, 8], help="after so many steps")
    parser.add_argument("--latent-reward", type=Path, default=Path(EMBEDDED_LATENT_FILE))
    parser.add_argument(
        "--steered", type=int, default=1, help="clips of a prompt by guidance and particles (default: 1)"
    )
    parser.add_argument("--picture", type=Path, help="SVG file of the curves (takes matplotlib)")
    options = parser.parse_args()
    with Section(HEADING, options) as section:
        run(section, options)


def run(section: Section, options: argparse.Namespace) -> None:
    """The table."""
    pipeline, judge = load_pipeline("micro"), open_judge("videoreward:micro")
    reward = load_latent_reward(options.latent_reward, device="cpu")
    sampling = replace(pipeline.backbone.sampling, steps=options.steps, guidance_scale=4.0)
    others = steerings(options.latent_reward, pipeline.backbone)
    known, own = [], {name: [] for name in others}
    for number, prompt in enumerate(prompts_of(options.prompts, 77)):
        takes = PromptTakes(pipeline, sampling, prompt)
        observed = observe(
            options.folder / "takes" / f"{number:03d}.npz", takes, prompt, range(options.seeds), options.looks, judge
        )
        known.append(known_takes(observed, observed.latent_marks(takes, reward), options.steps))
        for name, steering in others.items():
            folder = options.folder / name.replace(" ", "-").replace(",", "")
            clips = [
                steered(folder / f"{number:03d}-{seed}.npz", steering, takes, seed, prompt, judge)
                for seed in range(options.steered)
            ]
            own[name].append(np.mean([clip.gains(observed, steering.keeps_seed) for clip in clips], axis=0))
    ways = [*played(known, options), *sampled(own)]
    whole = next(way for way in ways if way.line == FINISHED and way.work == options.seeds)
    section.paragraph(
        f"{options.prompts} prompts, {options.seeds} seeds, {options.steps} steps; of guidance and particles {options.steered} clip(s) a prompt. Gain over a random seed: by VideoReward in standard deviations of "
        "a prompt's clips, by the measurement in degrees of fault; 95 % intervals over prompts. A look after k steps of n seeds costs "
        "(n k + T - k) / T clips."
    )
    section.table("", "work, clips", "gain by VideoReward", "gain by the measurement", "share of best of N's, measured")
    for way in ways:
        share = f"{100 * way.measured.mean() / whole.measured.mean():.0f} %"
        cells = [
            interval(gain.mean(), *_bounds(gain), digits=digits)
            for gain, digits in ((way.reward, 2), (way.measured, 3))
        ]
        section.row(way.name, f"{way.work:.2f}", *cells, share)
    near = [way for way in ways if way.work <= TOLD and way.line != FINISHED]
    best = max(near, key=lambda way: way.measured.mean())
    section.aim(
        f"share of best of {options.seeds}'s gain, measured, for at most {TOLD} clips' work ({best.name})",
        best.measured.mean() / whole.measured.mean(),
        at_least=0.6,
    )
    if options.picture:
        from search_picture import draw

        draw(ways, options.picture)
        section.note(f"The curves: {options.picture.as_posix()}")


def known_takes(observed: Observed, latent_marks: np.ndarray, steps: int) -> Takes:
    """Totals of each line, and gains."""
    deviation = np.maximum(observed.finished.std(0), 1e-6)
    finished = ((observed.finished - observed.finished.mean(0)) / deviation).mean(1)
    totals = {(FINISHED, steps): finished}
    for line, marks in ((PREVIEW, observed.previews), (LATENT, latent_marks)):
        for look, step in enumerate(observed.looks):
            totals[line, int(step)] = _total(marks[:, look])
    measured = observed.measured.mean(1)
    return Takes(totals, finished, measured - measured.mean())


def played(known: list[Takes], options: argparse.Namespace) -> Iterator[Way]:
    """Ways that choose among the takes."""
    seeds, steps = options.seeds, options.steps
    counts = [count for count in (2, 4, seeds) if count <= seeds]
    for count in counts:
        look = partial(_one_look, line=FINISHED, step=steps, count=count)
        yield _way(FINISHED, f"best of {count}, VideoReward", count, known, look)
    for line in (PREVIEW, LATENT):
        for count in counts[1:]:
            for step in options.looks:
                work = cost([(step, 1)], count, steps) / steps
                look = partial(_one_look, line=line, step=step, count=count)
                yield _way(f"{line}, {count} seeds", f"{line}: {count} seeds, look after {step}", work, known, look)
        for looks in HALVINGS:
            if set(looks) <= set(options.looks):
                plan = schedule(looks, seeds, 1)
                name = f"{line}: halving after {', '.join(map(str, looks))}"
                work = cost(plan, seeds, steps) / steps
                yield _way(f"{line}, halving", name, work, known, partial(_halved, line=line, plan=plan))


def sampled(own: dict[str, list[np.ndarray]]) -> Iterator[Way]:
    """Samplers of clips of their own: gains by both judges and work of each prompt."""
    for name, rows in own.items():
        reward, measured, work = np.array(rows).T
        yield Way(name.partition(",")[0], name, float(work.mean()), reward, measured)


def _way(line: str, name: str, work: float, known: list[Takes], chances: Callable[[Takes], np.ndarray]) -> Way:
    """A way from the chance that it gives each seed of a prompt."""
    rows = [(chance @ takes.reward, chance @ takes.measured) for takes in known for chance in (chances(takes),)]
    reward, measured = np.array(rows).T
    return Way(line, name, float(work), reward, measured)


def _one_look(takes: Takes, line: str, step: int, count: int) -> np.ndarray:
    """[S] chance of each seed to be the best of ``count`` that are drawn without replacement."""
    totals = takes.totals[line, step]
    seeds = len(totals)
    chance = np.empty(seeds)
    for rank, seed in enumerate(np.argsort(-totals, kind="stable")):
        chance[seed] = comb(seeds - 1 - rank, count - 1) / comb(seeds, count)
    return chance


def _halved(takes: Takes, line: str, plan: Sequence[tuple[int, int]]) -> np.ndarray:
    alive = np.arange(len(takes.reward))
    for step, keep in plan:
        alive = alive[np.argsort(-takes.totals[line, step][alive], kind="stable")[:keep]]
    chance = np.zeros(len(takes.reward))
    chance[alive[0]] = 1
    return chance


def _total(marks: np.ndarray) -> np.ndarray:
    return np.mean([z_scores(column.tolist()) for column in marks.T], axis=0)


def _bounds(values: np.ndarray) -> tuple[float, float]:
    found = student_mean(values)
    return found.low, found.high


if __name__ == "__main__":
    main()
