"""Which head of a latent reward ranks seeds of one prompt best, on equal features of a frozen trunk?

The heads learn on the recipe's pairs (the micro model's own samples of one prompt, drawn clips, generated clips); the trunk's features are
computed once and kept, so a head takes a minute or two. Each is judged as in ``latent_reward_within.py``: pairs of seeds of held-out
prompts, on the sampler's own latents.

    python benchmarks/latent_reward_heads.py FOLDER [--steps 200] [--rate 0.002] [--prompts 60] [--write]

FOLDER is of ``python -m videoalign.micro.latent_reward``; what is missing of its second training's data is made.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
from latent_reward_within import MARGINS, accuracies, held_out_groups, latent_scores, sampled
from results_section import Section, benchmark_parser, interval

from videoalign.micro.latent_reward.recipe import (
    RANKING_TRUNK,
    Recipe,
    make_ranking_data,
    make_ranking_trunk,
    ranking_config,
)
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.latent.heads import KINDS
from videoalign.reward.latent.reward_file import load_latent_reward
from videoalign.reward.settings import EMBEDDED_LATENT_FILE
from videoalign.reward.student_interval import student_mean
from videoalign.training import train_latent_reward_command
from videoalign.training.latent_reward.task import RESULT

HEADING = "Heads of the micro latent reward on a frozen trunk"
LOOKS = (4, 5, 6, 8, 12)


def main() -> None:
    """Train the heads, print the table."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--prompts", type=int, default=60)
    options = parser.parse_args()
    with Section(HEADING, options) as section:
        run(section, options)


def run(section: Section, options: Namespace) -> None:
    """One table: a row for each head and look."""
    folder, recipe = options.folder, Recipe()
    make_ranking_data(folder, recipe)
    if not (folder / RANKING_TRUNK).exists():
        make_ranking_trunk(folder, EMBEDDED_LATENT_FILE)
    groups = held_out_groups(folder / "held_out_own", options.prompts)
    levels = groups[0].levels
    section.paragraph(
        f"Heads of width {recipe.head_width} on the shipped reward's trunk, {options.steps} steps of {recipe.batch_size} pairs, two kept "
        f"noises a clip. {len(groups)} held-out prompts, pairs of seeds that differ by more than {MARGINS['measured']} as measured."
    )
    section.table(
        "head", "weights", "held-out pairs", "steps", "sigma", *(f"{name} within prompts" for name in DIMENSIONS)
    )
    for kind in KINDS:
        reward = load_latent_reward(head_file(folder, recipe, kind, options))
        weights = sum(value.numel() for value in reward.heads.parameters())
        overall = [reward.calibration.overall_accuracy(name) for name in DIMENSIONS]
        shares = " / ".join("-" if value is None else f"{value:.3f}" for value in overall)
        for step in LOOKS:
            scores = latent_scores(reward, groups, [sampled(group, step) for group in groups], levels[step])
            found = [(np.mean(one), student_mean(one)) for one in accuracies(scores, groups, "measured")]
            cells = [interval(mean, bounds.low, bounds.high) for mean, bounds in found]
            section.row(kind, f"{weights:,}", shares, str(step), f"{levels[step]:.2f}", *cells)


def head_file(folder: Path, recipe: Recipe, kind: str, options: Namespace) -> Path:
    """The trained head, made once."""
    output = folder / f"head_{kind}_{options.steps}"
    file = output / RESULT
    if not file.exists():
        config = ranking_config(
            folder,
            recipe,
            output=output,
            max_steps=options.steps,
            model={"head": kind, "freeze_trunk": True},
            noise={"draws": 2},
            optimizer={"head_lr": options.rate},
        )
        if train_latent_reward_command.run(config) != 0:
            raise SystemExit(130)
    return file


if __name__ == "__main__":
    main()
