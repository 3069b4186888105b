"""Signed velocity matching beside Flow-DPO over rounds on the model's own fresh clips, at equal numbers of clips.

Each method is one ``videoalign align`` of the micro model: in every round clips are generated with the LoRA so far, scored by the micro
VideoReward, and trained on, DPO on pairs of them, signed velocity matching on all of them. Then each round's LoRA and the base make the
same new clips, which ``videoalign compare`` judges: win rates against the base VQ MQ TA in per cent with 95 % intervals over prompts, by
the reward and by the micro world's own measurement, and the guard's verdict.

    python benchmarks/rvm_rounds.py FOLDER [--clips 500] [--prompts 100] [--rounds 3] [--only NAME]

FOLDER keeps clips, LoRAs and scores; a second run makes only what is missing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from micro_clips import RATE_COLUMNS, prompts_of
from results_section import Section, benchmark_parser, interval

from videoalign.cli.main import main as videoalign
from videoalign.files.json_text import read_json
from videoalign.generation.pipeline import MICRO
from videoalign.reward.dimensions import DIMENSIONS

HEADING = "Signed velocity matching and Flow-DPO over three rounds of the micro model"
# Rates were chosen after one round, on 150 prompts that are in no table.
METHODS = {
    "DPO": {"method": "dpo", "batch": 24, "rate": 3e-4, "section": ""},
    "RVM, anchor 0.1": {"method": "rvm", "batch": 48, "rate": 3e-4, "section": "[rvm]\nanchor = 0.1\n"},
    "RVM, anchor 0.001": {"method": "rvm", "batch": 48, "rate": 1e-4, "section": "[rvm]\nanchor = 0.001\n"},
}
TRAINING_SEED, TESTING_SEED = 61_000, 63_000


def main() -> None:
    """Align, sample, judge, print the section."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=500, help="of each row (default: 500)")
    parser.add_argument("--prompts", type=int, default=60, help="that are trained on (default: 60)")
    parser.add_argument("--clips-per-prompt", type=int, default=6, help="in a round (default: 6)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100, help="of a round's training (default: 100)")
    parser.add_argument("--only", action="append", choices=METHODS, help="repeatable")
    options = parser.parse_args()
    with Section(HEADING, options, libraries=("torch", "transformers", "peft")) as section:
        run(section, options)


def run(section: Section, options: argparse.Namespace) -> None:
    """The table."""
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    # align holds a share out to watch its training by; the table's prompts are others.
    prompts = _prompts(folder / "prompts.txt", round(options.prompts / 0.9), TRAINING_SEED)
    testing = _prompts(folder / "testing.txt", options.clips, TESTING_SEED)
    base = _clips(folder / "base", testing)
    made = round(options.prompts * options.clips_per_prompt)
    section.paragraph(
        f"{made} clips a round, {options.steps} steps of 24 pairs (DPO) or 48 clips (RVM), which cost as much; LoRA rank 16, rate 3e-4 "
        f"(1e-4 with the small anchor); each round's reference is the round before. {options.clips} new prompts, one clip each, "
        "the same noise with and without the LoRA, classifier-free guidance 4. Ties count half."
    )
    section.table("", "round", *RATE_COLUMNS[:3], "mean", *RATE_COLUMNS[3:], "mean", "verdict")
    for name in options.only or METHODS:
        slug = name.lower().replace(",", "").replace(" ", "-").replace(".", "")
        aligned = folder / slug
        _align(name, aligned, prompts, options)
        for number in range(1, options.rounds + 1):
            lora = aligned / f"round_{number}" / "training" / "lora.safetensors"
            clips = _clips(folder / f"{slug}_{number}", testing, lora)
            report = _report(base, clips, folder / f"{slug}_{number}_compared")
            section.row(name, str(number), *_cells(report), report["verdict"]["outcome"])


def _align(name: str, output: Path, prompts: Path, options: argparse.Namespace) -> None:
    method = METHODS[name]
    training = output.with_suffix(".toml")
    batch = method["batch"]
    training.write_text(
        f'preset = "micro"\nbatch_size = {batch}\nmicro_batch_size = {batch}\neval_every = {options.steps}\n{method["section"]}',
        encoding="utf-8",
    )
    # A lead in every dimension, or the easiest one (VQ) would decide alone.
    pairs = ["--pairs.pairing", "margin", "--pairs.pairs-per-prompt", 6]
    pairs += [word for mark in DIMENSIONS for word in (f"--pairs.gaps.{mark}", 0)]
    _videoalign(
        "align", prompts, "--output", output, "--method", method["method"], "--train", training, "--rounds", options.rounds,
        "--clips-per-prompt", options.clips_per_prompt, "--held-out", 0.1, "--compare-clips", 1, "--steps", options.steps,
        "--learning-rate", method["rate"], "--batch-size", 50, "--device", "cpu", *(pairs if method["method"] == "dpo" else ()),
    )  # fmt: skip


def _prompts(file: Path, count: int, seed: int) -> Path:
    file.write_text("\n".join(prompts_of(count, seed)) + "\n", encoding="utf-8")
    return file


def _clips(folder: Path, prompts: Path, lora: Path | None = None) -> Path:
    adapter = ["--lora", lora] if lora else []
    options = ["--model", MICRO, "--clips-per-prompt", 1, "--batch-size", 50, "--device", "cpu", *adapter]
    _videoalign("generate", prompts, "--output", folder, *options)
    return folder


def _report(base: Path, candidate: Path, output: Path) -> dict:
    _videoalign("compare", base, candidate, "--output", output, "--judge", "micro-world", "--device", "cpu")
    return read_json(output / "report.json")


def _cells(report: dict) -> list[str]:
    """VQ, MQ, TA and their mean, by the reward and then by the measurement."""
    cells = []
    for table in list(report["judges"].values())[:2]:
        rates = [table[name] for name in DIMENSIONS]
        cells += [interval(*(100 * rate[key] for key in ("rate", "low", "high")), digits=1) for rate in rates]
        cells.append(f"{100 * sum(rate['rate'] for rate in rates) / len(rates):.1f}")
    return cells


def _videoalign(*words: object) -> None:
    """A command of videoalign, as a user gives it."""
    status = videoalign([str(word) for word in words])
    if status:
        raise SystemExit(f"videoalign {words[0]} ended with {status}")


if __name__ == "__main__":
    main()
