"""How often does a latent reward rank two seeds of one prompt right, by noise level?

Of each held-out prompt several seeds of the micro model (classifier-free guidance 4). A pair of seeds counts where the truth clearly
differs: the world's measurement of the finished clips by more than 0.05, or VideoReward's mark of them by more than 0.3. Each latent
reward sees the sampler's own latents at each level, and, to compare with, the finished clips with new noise of each clip's own.
The reference is VideoReward on the decoded clean clip that the sampler foresees there. Means over prompts with Student's 95 % intervals.

    python benchmarks/latent_reward_within.py FOLDER [--reward NAME=FILE ...] [--prompts 60] [--write]

FOLDER keeps the samples; a second run makes only what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from results_section import Section, benchmark_parser, interval
from torch import Tensor

from videoalign.backbones.conditioning import collate
from videoalign.backbones.flow_path import add_noise, generator_of
from videoalign.backbones.micro_files import MICRO_VAE
from videoalign.backbones.micro_text import MicroTextEncoder
from videoalign.backbones.vae_loading import load_vae
from videoalign.clips.frames import Frames
from videoalign.clips.pixels import as_frames
from videoalign.micro.latent_reward.own_samples import (
    HELD_OUT_SEED,
    HELD_OUT_SEEDS_FROM,
    OwnSamples,
    distinct_prompts,
    load_own_samples,
    make_own_samples,
)
from videoalign.reward.agreement import ties_excluded_accuracy
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.latent.latent_reward import LatentReward
from videoalign.reward.latent.reward_file import load_latent_reward
from videoalign.reward.loading import load_video_reward
from videoalign.reward.settings import EMBEDDED_LATENT_FILE
from videoalign.reward.student_interval import student_mean
from videoalign.reward.video_reward import VideoReward

HEADING = "The micro latent reward within prompts"
SEEDS = 8
MARGINS = {"measured": 0.05, "reward": 0.3}
AIM_STEP = 5  # of 12 at shift 3: sigma 0.81
FPS = 8.0


def main() -> None:
    """Make the samples and print the section."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--reward", action="append", default=[], metavar="NAME=FILE", help="latent rewards to compare")
    parser.add_argument("--looks", type=int, nargs="+", default=[3, 4, 5, 6, 8, 10, 12], help="after so many steps")
    options = parser.parse_args()
    rewards = dict(one.split("=", 1) for one in options.reward) or {"shipped": str(EMBEDDED_LATENT_FILE)}
    with Section(HEADING, options) as section:
        run(section, options, rewards)


def run(section: Section, options, rewards: dict[str, str]) -> None:
    """The table."""
    groups = held_out_groups(options.folder, options.prompts)
    levels = groups[0].levels
    section.paragraph(
        f"{len(groups)} prompts, {SEEDS} seeds each. Share of pairs of seeds that are ranked as the finished clips are: by the world's "
        f"measurement where it differs by more than {MARGINS['measured']}, by VideoReward where it differs by more than {MARGINS['reward']}."
    )
    names = ("VQ, measured", "MQ", "TA", "VQ, VideoReward", "MQ", "TA")
    section.table("judge", "sees", "steps", "sigma", *names)
    last = {}
    for name, file in rewards.items():
        reward = load_latent_reward(file)
        for sees, latents in (("the sampler's latents", sampled), ("clips with new noise", renoised)):
            for step in options.looks:
                scores = latent_scores(reward, groups, [latents(group, step) for group in groups], levels[step])
                _row(section, (name, sees, step, levels[step]), scores, groups)
                if step == AIM_STEP and latents is sampled:
                    last = {one: accuracies(scores, groups, one) for one in MARGINS}
    video_reward = load_video_reward("micro", device="cpu")
    for step in options.looks:
        scores = preview_scores(video_reward, groups, step)
        _row(section, ("VideoReward", "what is foreseen, decoded", step, levels[step]), scores, groups)
    for number, dimension in enumerate(DIMENSIONS):
        if last:
            section.aim(
                f"{list(rewards)[-1]}, {dimension} as measured at sigma {levels[AIM_STEP]:.2f}",
                float(np.mean(last["measured"][number])),
                at_least=0.65,
                form=".3f",
            )


def held_out_groups(folder: Path, prompts: int) -> list[OwnSamples]:
    """Samples of prompts that no training has."""
    names = distinct_prompts(prompts, HELD_OUT_SEED)
    return [load_own_samples(file) for file in make_own_samples(folder, names, SEEDS, HELD_OUT_SEEDS_FROM)]


def sampled(group: OwnSamples, step: int) -> Tensor:
    """The sampler's latents."""
    return group.x[:, step]


def renoised(group: OwnSamples, step: int) -> Tensor:
    """The finished latents with noise of each one's own."""
    clean, sigma = group.x[:, -1], group.levels[step]
    return add_noise(clean, torch.randn(clean.shape, generator=generator_of("within", group.prompt, step)), sigma)


@torch.no_grad()
def latent_scores(
    reward: LatentReward, groups: Sequence[OwnSamples], latents: Sequence[Tensor], sigma: float
) -> Tensor:
    """[prompts, seeds, 3]."""
    encoder = MicroTextEncoder()
    rows = []
    for group, x_t in zip(groups, latents, strict=True):
        conditioning = collate(encoder.encode([group.prompt] * len(x_t)))
        rows.append(reward.rewards(x_t, torch.full((len(x_t),), sigma), conditioning))
    return torch.stack(rows)


@torch.no_grad()
def preview_scores(reward: VideoReward, groups: Sequence[OwnSamples], step: int) -> Tensor:
    """[prompts, seeds, 3]."""
    vae, rows = load_vae(MICRO_VAE), []
    for group in groups:
        clips = [Frames(as_frames(vae.decode(one[None])[0]), FPS) for one in group.foreseen(step)]
        scored = [reward.score([clip], [group.prompt])[0] for clip in clips]
        rows.append([[getattr(one, name) for name in DIMENSIONS] for one in scored])
    return torch.tensor(rows)


def accuracies(scores: Tensor, groups: Sequence[OwnSamples], truth: str) -> list[list[float]]:
    """By dimension: of each prompt with a pair that clearly differs, the share of these that is ranked right."""
    shares: list[list[float]] = [[] for _ in DIMENSIONS]
    for given, group in zip(scores, groups, strict=True):
        marks = getattr(group, truth)
        a, b = torch.triu_indices(len(marks), len(marks), 1)
        for column, of_prompt in enumerate(shares):
            differs = (marks[a, column] - marks[b, column]).double()
            labels = torch.where(differs.abs() > MARGINS[truth], differs.sign(), 0.0)
            share = ties_excluded_accuracy(labels.numpy(), (given[a, column] - given[b, column]).double().numpy())
            if not np.isnan(share):
                of_prompt.append(share)
    return shares


def _row(section: Section, cells: tuple, scores: Tensor, groups: Sequence[OwnSamples]) -> None:
    name, sees, step, sigma = cells
    every = [shares for truth in MARGINS for shares in accuracies(scores, groups, truth)]
    bounds = [student_mean(shares) for shares in every]
    means = [interval(np.mean(shares), one.low, one.high) for shares, one in zip(every, bounds, strict=True)]
    section.row(name, sees, str(step), f"{sigma:.2f}", *means)


if __name__ == "__main__":
    main()
