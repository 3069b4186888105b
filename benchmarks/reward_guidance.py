"""Flow-NRG on the micro model: the paper's Table 5 in kind, strengths from gentle to too strong, and a noise-trained against a clean-trained
latent reward.

Every row samples the same prompts with the same seeds as the unguided row. Win rates VQ MQ TA in per cent with 95 % intervals, judged by the
micro VideoReward and by the micro world's own measurement of the decoded clips; and the guard's verdict.

    python benchmarks/reward_guidance.py FOLDER [--clips 500] [--clean CLEAN_TRAINED.safetensors] [--raw W] [--unit-free S]

FOLDER keeps each row's scores; a second run makes only what is missing.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from micro_clips import RATE_COLUMNS, judged_row, prompts_of, rate_cells, verdict_word, win_rates
from results_section import Section, benchmark_parser

from videoalign.generation.pipeline import MICRO, load_pipeline, reward_guidance
from videoalign.guidance.settings import GuidanceSettings
from videoalign.reward.loading import load_video_reward

HEADING = "Flow-NRG on the micro model: Table 5 in kind"
HEADING_CFG = "Flow-NRG on the micro model with classifier-free guidance"
WEIGHTS = ((0, 0, 1), (0.1, 0.1, 0.8), (0.1, 0.1, 0.6), (0.5, 0.5, 0), (1, 0, 0), (0, 1, 0))
SWEPT = (0.1, 0.1, 0.8)  # the weights whose strengths are tried
STRENGTHS = {"raw": (0.25, 0.5, 2.0, 4.0, 8.0), "unit-free": (0.125, 0.25, 1.0, 2.0, 4.0)}  # beside the table's own


def main() -> None:
    """Make all rows and print the section."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("--seed", type=int, default=31_000, help="of the prompts")
    parser.add_argument("--clean", type=Path, help="latent reward trained on clean latents, for the ablation")
    parser.add_argument("--raw", type=float, default=1.0, help="w of the paper's raw form")
    parser.add_argument("--unit-free", type=float, default=0.5, help="strength of the unit-free form")
    parser.add_argument("--guidance-scale", type=float, default=1.0, help="of classifier-free guidance; 1 is none")
    parser.add_argument("--steps", type=int, help="Euler steps; the model's own number by default")
    options = parser.parse_args()
    torch.manual_seed(0)
    with Section(HEADING if options.guidance_scale == 1 else HEADING_CFG, options) as section:
        compare(section, options)


def compare(section: Section, options: argparse.Namespace) -> None:
    """The tables of win rates."""
    prompts = prompts_of(options.clips, options.seed)
    pipeline = load_pipeline(MICRO)
    reward = load_video_reward("micro", device="cpu")

    def scores(name: str, latent_reward: str | None = None, settings: GuidanceSettings | None = None) -> dict:
        hook = None if settings is None else reward_guidance(latent_reward, settings, "cpu", pipeline.backbone)
        file = options.folder / f"{name}-{options.clips}.json"
        start, fresh = time.perf_counter(), not file.exists()
        judged = judged_row(
            file, lambda: pipeline, reward, prompts, hook, steps=options.steps, guidance_scale=options.guidance_scale
        )
        if fresh:
            print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        return judged

    section.paragraph(
        f"{options.clips} prompts, one clip each, {options.steps or pipeline.backbone.sampling.steps} Euler steps, classifier-free "
        f"guidance {options.guidance_scale:g} (1 is none), the same noise as the unguided row. Share of clips that beat the unguided one "
        "(a tie counts half), in per cent with the 95 % interval."
    )
    base = scores("unguided")

    def row(title: str, mode: str, weights: Sequence[float], strength: float, clean: bool = False) -> None:
        cap = None if mode == "raw" else 0.5  # the paper's form has none
        settings = GuidanceSettings(dict(zip(("VQ", "MQ", "TA"), weights, strict=True)), strength, mode, cap=cap)
        name = f"{mode}-{strength:g}-" + "-".join(f"{weight:g}" for weight in weights)
        guided = scores(f"clean-{name}", str(options.clean), settings) if clean else scores(name, MICRO, settings)
        section.row(title, *rate_cells(win_rates(base, guided, prompts)), verdict_word(base, guided, prompts))

    own = {"raw": options.raw, "unit-free": options.unit_free}
    for mode, strength in own.items():
        section.paragraph(f"{mode.capitalize()} strength {strength:g}, {'no cap' if mode == 'raw' else 'cap 0.5'}:")
        section.table("VQ:MQ:TA", *RATE_COLUMNS, "verdict")
        for weights in WEIGHTS:
            text = ":".join(f"{weight:g}" for weight in weights)
            row(text, mode, weights, strength)
            if options.clean and weights in ((0, 1, 0), SWEPT):
                row(f"{text}, latent reward trained on clean latents", mode, weights, strength, clean=True)
    section.paragraph(f"{':'.join(f'{weight:g}' for weight in SWEPT)} at other strengths, from gentle to too strong:")
    section.table("", *RATE_COLUMNS, "verdict")
    for mode, strength in own.items():
        for other in sorted((strength, *STRENGTHS[mode])):
            row(f"{mode} {other:g}", mode, SWEPT, other)


if __name__ == "__main__":
    main()
