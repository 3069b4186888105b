"""Search, LoRA and guidance of the micro model, each alone and together: does one gain where another has gained already?

Every row has the same prompts; a row without a search has the same seeds as the plain one. The search is best of N by VideoReward on finished
clips. Win rates against the plain clip VQ MQ TA in per cent with 95 % intervals, judged by the micro VideoReward (which chose in the rows of
the search) and by the micro world's own measurement; the guard's verdict; and the evaluations of the network, in units of one plain clip.

    python benchmarks/all_together.py FOLDER [--clips 500] [--best-of 4] [--strength 0.5]

FOLDER keeps the clips' marks; a second run makes only what is missing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import torch
from micro_clips import RATE_COLUMNS, judged_row, prompts_of, rate_cells, verdict_word, win_rates
from results_section import Section, benchmark_parser

from videoalign.backbones.micro_files import MICRO_LORA
from videoalign.generation.pipeline import MICRO, load_pipeline, reward_guidance
from videoalign.guidance.settings import GuidanceSettings
from videoalign.reward.loading import load_video_reward

HEADING = "Search, LoRA and guidance of the micro model together"
WEIGHTS = {"VQ": 0.1, "MQ": 0.1, "TA": 0.8}
SEED = 33_000  # of the prompts


def main() -> None:
    """Make all rows and print the section."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=500, help="of each row")
    parser.add_argument("--best-of", type=int, default=4, help="seeds of a search")
    parser.add_argument("--strength", type=float, default=0.5, help="of guidance, unit-free, 0.1:0.1:0.8")
    parser.add_argument("--steps", type=int, help="Euler steps; the model's own number by default")
    options = parser.parse_args()
    torch.manual_seed(0)
    with Section(HEADING, options) as section:
        compare(section, options)


def compare(section: Section, options: argparse.Namespace) -> None:
    """The table of win rates."""
    prompts = prompts_of(options.clips, SEED)
    reward = load_video_reward("micro", device="cpu")
    pipelines = {False: load_pipeline(MICRO), True: load_pipeline(MICRO, loras=[str(MICRO_LORA)])}
    settings = GuidanceSettings(WEIGHTS, options.strength, "unit-free")

    @cache  # what guidance measures of a model before it begins is the same for all takes
    def guidance(lora: bool) -> Callable:
        return reward_guidance(MICRO, settings, "cpu", pipelines[lora].backbone)

    def marks(lora: bool, guided: bool, take: int) -> dict:
        models, hook = pipelines[lora], guidance(lora) if guided else None
        name = f"{'lora' if lora else 'base'}-{'guided' if guided else 'plain'}-{take}-{options.clips}"
        file = options.folder / f"{name}.json"
        first = take * len(prompts)
        return judged_row(file, lambda: models, reward, prompts, hook, first_seed=first, steps=options.steps)

    base = marks(False, False, 0)
    sampling = pipelines[False].backbone.sampling
    section.paragraph(
        f"{options.clips} prompts, {options.steps or sampling.steps} Euler steps, classifier-free guidance {sampling.guidance_scale:g}; the LoRA that comes "
        f"with the pack; guidance 0.1:0.1:0.8, unit-free {options.strength:g}. Share of clips that beat the plain one of the prompt (a tie counts half), "
        "in per cent with the 95 % interval."
    )
    section.table("", "work", *RATE_COLUMNS, "verdict")
    for searched, lora, guided in product((False, True), repeat=3):
        if not (searched or lora or guided):
            continue
        takes = [marks(lora, guided, take) for take in range(options.best_of if searched else 1)]
        names = [f"best of {options.best_of}"] * searched + ["LoRA"] * lora + ["guidance"] * guided
        row = best(takes)
        rates = win_rates(base, row, prompts)
        section.row(" + ".join(names), str(len(takes)), *rate_cells(rates), verdict_word(base, row, prompts))


def best(takes: Sequence[dict]) -> dict:
    """Of each prompt's takes the marks of the one that the reward likes best, all its dimensions counting alike."""
    if len(takes) == 1:
        return takes[0]
    total = np.array([np.sum([take["reward"][name] for name in take["reward"]], axis=0) for take in takes])
    chosen = total.argmax(axis=0)
    return {
        judge: {name: [takes[take][judge][name][clip] for clip, take in enumerate(chosen)] for name in columns}
        for judge, columns in takes[0].items()
    }


if __name__ == "__main__":
    main()
