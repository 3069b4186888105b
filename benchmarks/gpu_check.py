"""Is all well on this GPU? One command, at most eight minutes, no network, random weights.

    python benchmarks/gpu_check.py                       # on a machine with CUDA
    COMFYUI_PATH=/path/to/ComfyUI python benchmarks/gpu_check.py
    python benchmarks/gpu_check.py --rehearse            # the same code on a CPU at small sizes: half a minute
    python benchmarks/gpu_check.py --plan                # what is counted for it at the real sizes, without a GPU

VideoReward at the released size (clips a second, how much of that is reading them, memory), equal scores of CPU and GPU,
guided steps on Wan 1.3B and 14B with a latent reward on 1.3B, steps of Flow-DPO and RVM on 1.3B in each form of memory, the
VAE, and ComfyUI's memory manager with our patcher. Each check is run even where one before it failed; what no longer fits
into the minutes is left out and said. Beside what is measured stands what ``videoalign plan`` counts for the same.

Exit status 1 where a check failed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from gpu_checks import comfyui, guidance, scoring, training, vae
from gpu_checks.case import Bench, Check, Outcome, run_check
from results_section import Section, benchmark_parser

from videoalign.files.atomic_file import write_json

HEADINGS = {"gpu": "On a GPU", "rehearse": "On a GPU, rehearsed on a CPU", "plan": "On a GPU, counted"}
MINUTES = 8.0


def main() -> int:
    """Run what fits, print the table."""
    parser = benchmark_parser(__doc__)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--rehearse", action="store_true", help="small sizes on the CPU")
    how.add_argument("--plan", action="store_true", help="count at the real sizes, run nothing")
    parser.add_argument(
        "--only", action="append", metavar="WORDS", help="checks with these words in their name; repeatable"
    )
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"all together (default: {MINUTES:g})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to this file as well")
    options = parser.parse_args()
    kind = "rehearse" if options.rehearse else "plan" if options.plan else "gpu"
    if kind == "gpu" and not torch.cuda.is_available():
        parser.error("no GPU is here that torch can use; --rehearse runs the same at small sizes on the CPU.")
    options.device = "cuda" if kind == "gpu" else "cpu"
    with Section(HEADINGS[kind], options, libraries=("torch", "diffusers", "peft")) as section:
        outcomes = report(section, chosen(options.only), Bench(torch.device(options.device), kind == "gpu"), options)
    if options.json:
        write_json(options.json, {name: vars(outcome) for name, outcome in outcomes.items()})
    return int(any(outcome.wrong and not outcome.wrong.startswith("left out") for outcome in outcomes.values()))


def all_checks() -> list[Check]:
    """Those that were never run anywhere first."""
    return [*scoring.checks(), *training.checks(), *guidance.checks(), *vae.checks(), *comfyui.checks()]


def chosen(words: list[str] | None) -> list[Check]:
    """The checks whose names have one of ``words`` in them; all without any."""
    return [check for check in all_checks() if not words or any(part.lower() in check.name.lower() for part in words)]


def report(section: Section, checks: list[Check], bench: Bench, options) -> dict[str, Outcome]:
    """Run the checks in turn, a row each."""
    until = time.monotonic() + 60 * options.minutes
    section.table("", "s", "peak, GB", "planned, GB", "measured / planned", "other")
    outcomes = {}
    for check in checks:
        if options.plan:
            outcome = check.plan() if check.plan else Outcome(wrong="left out: nothing is counted for it")
        elif bench.real and time.monotonic() + check.expected > until:
            outcome = Outcome(wrong=f"left out: {options.minutes:g} minutes do not hold it")
        else:
            outcome = run_check(check, bench)
        outcomes[check.name] = outcome
        section.row(check.name, *_cells(outcome))
    for name, outcome in outcomes.items():
        if outcome.wrong:
            section.note(f"{name}: {outcome.wrong}")
    failed = sum(bool(outcome.wrong) and not outcome.wrong.startswith("left out") for outcome in outcomes.values())
    section.aim("checks that failed", failed, at_most=0, form=".0f")
    return outcomes


def _cells(outcome: Outcome) -> list[str]:
    def shown(value: float | None, form: str, scale: float = 1.0) -> str:
        return "" if value is None else format(value / scale, form)

    share = outcome.peak / outcome.planned if outcome.peak and outcome.planned else None
    facts = "; ".join(f"{name} {value:.3g}" for name, value in outcome.facts.items())
    return [
        shown(outcome.seconds, ".3f"),
        shown(outcome.peak, ".2f", 1e9),
        shown(outcome.planned, ".2f", 1e9),
        shown(share, ".2f"),
        facts if not outcome.wrong else f"**{outcome.wrong.split(':')[0]}** {facts}".rstrip(),
    ]


if __name__ == "__main__":
    sys.exit(main())
