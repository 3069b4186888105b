"""Flow-DPO, Flow-RWR, SFT and signed velocity matching on the micro model: the paper's Tables 3 and 4 in kind.

The micro model's own clips, labelled by the micro VideoReward, train one LoRA a method; then each samples new prompts with
the same seeds as the base. Win rates VQ MQ TA in per cent with 95 % intervals, judged by the micro VideoReward and by the
micro world's own measurement of the decoded clips; and the guard's verdict.

The clips that are trained on are sampled with the model's own classifier-free guidance, or without any; the new clips likewise. A method that
matches clips learns the guidance that they were made with, and is then given it a second time where its own clips are guided.

    python benchmarks/flow_alignment.py FOLDER [--clips 500] [--prompts 250] [--steps N] [--learning-rate X] [--only NAME]

FOLDER keeps clips, LoRAs and scores; a second run makes only what is missing.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from micro_clips import RATE_COLUMNS, judged_row, prompts_of, rate_cells, verdict_word, win_rates
from results_section import Section, benchmark_parser

from videoalign.backbones.micro_files import MICRO_NETWORK, MICRO_VAE
from videoalign.cli.main import main as videoalign
from videoalign.generation.pipeline import MICRO, load_pipeline
from videoalign.reward.loading import load_video_reward

METHODS = {
    "DPO, constant beta": ["dpo"],
    "SFT": ["sft"],
    "RWR": ["rwr"],
    "DPO, beta (1-t)^2": ["dpo", "--dpo.beta-schedule", "squared"],
    "RVM": ["rvm", "--rvm.anchor", "0.1"],
    "DPO, constant beta, TA alone": ["dpo"],
}
HEADING = "Flow-DPO, Flow-RWR and SFT on the micro model: Tables 3 and 4 in kind"
HEADING_UNGUIDED = "Tables 3 and 4 in kind from clips without classifier-free guidance"
TRAINING_SEED, TESTING_SEED = 51_000, 52_000


def main() -> None:
    """Make pairs and LoRAs, sample, print the section."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=500, help="of each row")
    parser.add_argument("--prompts", type=int, default=250, help="that pairs are made of")
    parser.add_argument("--clips-per-prompt", type=int, default=6)
    parser.add_argument("--pairs-per-prompt", type=int, default=6)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=24, help="pairs a step")
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--sampling-steps", type=int, help="Euler steps; the model's own number by default")
    parser.add_argument(
        "--training-scale",
        type=float,
        help="guidance of the clips that are trained on; the model's own by default, 1 is none",
    )
    parser.add_argument("--only", action="append", help="name of a method; repeatable")
    options = parser.parse_args()
    torch.manual_seed(0)
    with Section(
        HEADING_UNGUIDED if options.training_scale == 1 else HEADING,
        options,
        libraries=("torch", "transformers", "peft"),
    ) as section:
        compare(section, options)


def compare(section: Section, options: argparse.Namespace) -> None:
    """The table of win rates."""
    folder = options.folder
    pairs = make_pairs(folder, options)
    prompts = prompts_of(options.clips, TESTING_SEED)
    reward = load_video_reward("micro", device="cpu")
    own = load_pipeline(MICRO).backbone.sampling.guidance_scale
    trained_at = own if options.training_scale is None else options.training_scale
    section.paragraph(
        f"LoRA rank {options.rank}, {options.steps} steps of {options.batch}, rate {options.learning_rate:g}, on clips with guidance {trained_at:g}. "
        f"{options.clips} new prompts, one clip each, same noise with and without the LoRA. Share of clips that beat the base model's at the same "
        "guidance (a tie counts half), in per cent with the 95 % interval; the seconds are of training, little where the folder had it."
    )

    def made(name: str, scale: float, loras: Sequence[str] = ()) -> dict:
        file = folder / "rows" / f"{name}-{scale:g}.json"
        settings = {"steps": options.sampling_steps, "guidance_scale": scale}
        return judged_row(file, lambda: load_pipeline(MICRO, loras=list(loras)), reward, prompts, **settings)

    bases = {scale: made("base", scale) for scale in (own, 1.0)}
    section.table("", "new clips' guidance", *RATE_COLUMNS[:3], "mean", *RATE_COLUMNS[3:], "mean", "verdict", "clock s")
    for name in options.only or METHODS:
        slug = name.lower().replace(" ", "-").replace(",", "").replace("^", "").replace("(", "").replace(")", "")
        start = time.perf_counter()
        lora = train(name, folder / slug, pairs["TA" if "TA" in name else "all"], options)
        seconds = time.perf_counter() - start
        for scale, base in bases.items():
            row = made(slug, scale, [str(lora)])
            rates = win_rates(base, row, prompts)
            cells, means = (
                rate_cells(rates),
                [f"{100 * sum(rate.rate for rate in part) / 3:.1f}" for part in (rates[:3], rates[3:])],
            )
            section.row(
                name,
                f"{scale:g}",
                *cells[:3],
                means[0],
                *cells[3:],
                means[1],
                verdict_word(base, row, prompts),
                f"{seconds:.0f}",
            )


def make_pairs(folder: Path, options: argparse.Namespace) -> dict[str, Path]:
    """Preference files of the base's own clips: by all dimensions, and by TA alone."""
    folder.mkdir(parents=True, exist_ok=True)
    prompts, clips, scores = folder / "prompts.txt", folder / "clips", folder / "scores.jsonl"
    prompts.write_text("\n".join(prompts_of(options.prompts, TRAINING_SEED)) + "\n", encoding="utf-8")
    steps = [] if options.sampling_steps is None else ["--sampling.steps", options.sampling_steps]
    if options.training_scale is not None:
        steps += ["--sampling.guidance-scale", options.training_scale]
    count = ["--clips-per-prompt", options.clips_per_prompt, "--batch-size", 50, "--device", "cpu"]
    run("generate", prompts, "--output", clips, *count, *steps)
    if not scores.exists():
        run("score", "--manifest", clips / "clips.jsonl", "--model", MICRO, "--output", scores, "--device", "cpu")
    most = ["--pairs-per-prompt", options.pairs_per_prompt]
    files = {"all": folder / "pairs.jsonl", "TA": folder / "pairs_ta.jsonl"}
    if not files["all"].exists():
        # A lead in every dimension, or the easiest one (VQ) would decide alone.
        gaps = ["--gaps.VQ", 0, "--gaps.MQ", 0, "--gaps.TA", 0]
        run("pairs", scores, "--output", files["all"], "--pairing", "margin", *most, *gaps)
    if not files["TA"].exists():
        weights = ["--weights.VQ", 0, "--weights.MQ", 0, "--weights.TA", 1]
        run("pairs", scores, "--output", files["TA"], "--pairing", "margin", *most, *weights)
    return files


def train(name: str, folder: Path, pairs: Path, options: argparse.Namespace) -> Path:
    """The LoRA of one method; trained when it is not there."""
    lora = folder / "lora.safetensors"
    if not lora.exists():
        method, *method_options = METHODS[name]
        sampling = load_pipeline(MICRO).backbone.sampling
        size = {"width": sampling.width, "height": sampling.height, "frames": sampling.frames, "fps": sampling.fps}
        data = ["--data.train", pairs, "--data.cache", folder.parent / "cache"]
        data += [word for key, value in size.items() for word in (f"--data.{key}", value)]
        if "TA" in name:
            data += ["--data.prefer", "TA"]
        batch = options.batch
        if method == "rvm":
            data += ["--data.clips", folder.parent / "scores.jsonl"]
            batch *= 2  # clips, where the others count pairs
        model = ["--model.transformer", MICRO_NETWORK, "--model.vae", MICRO_VAE, "--model.text-encoder", MICRO]
        steps = ["--max-steps", options.steps, "--batch-size", batch, "--micro-batch-size", batch]
        steps += ["--precision", "float32"]
        steps += ["--memory.base-dtype", "float32", "--no-memory.gradient-checkpointing", "--no-tensorboard"]
        steps += ["--optimizer.learning-rate", options.learning_rate, "--eval-every", max(options.steps // 4, 1)]
        adapter = ["--lora.rank", options.rank, "--lora.alpha", 2 * options.rank, "--lora.dtype", "float32"]
        run("train", method, "--output", folder, *data, *model, *steps, *adapter, *method_options)
    return lora


def run(*words: object) -> None:
    """A command of videoalign, as a user gives it."""
    status = videoalign([str(word) for word in words])
    if status:
        raise SystemExit(f"videoalign {words[0]} ended with {status}")


if __name__ == "__main__":
    main()
