"""All tables about the micro family, one after the other: what the algorithms gain, by the rewards and by measurement.

    python benchmarks/evidence.py FOLDER [--only NAME] [--list] [--clean CLEAN_TRAINED.safetensors] [--write]

FOLDER keeps what the scripts make, apart for each state of the micro family's files: a second run goes on where the first was stopped, and
new weights begin anew. A table that is finished is not made again; delete its `finished` file to have it made again. Hours are of one core.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from machine import REPOSITORY
from results_section import benchmark_parser

from videoalign.backbones.micro_files import MICRO_LORA, MICRO_NETWORK, MICRO_VAE
from videoalign.files.digests import content_fingerprint
from videoalign.reward.settings import EMBEDDED_FILE, EMBEDDED_LATENT_FILE

FAMILY = (MICRO_NETWORK, MICRO_VAE, MICRO_LORA, EMBEDDED_FILE, EMBEDDED_LATENT_FILE)
FINISHED = "finished"


@dataclass(frozen=True)
class Table:
    """A script, what it is given, and about how many hours of a core it takes.

    "FOLDER" stands for the table's own folder, "CLEAN" for the latent reward that was trained on clean latents; without one, its rows are left out.
    """

    name: str
    script: str
    hours: float
    arguments: tuple[str, ...] = ()


TABLES = (
    Table("quality", "micro_video_quality", 0.1),
    Table("reward", "micro_reward_accuracy", 0.1, ("--pairs", "300")),
    Table("generated", "micro_generated_accuracy", 0.3, ("FOLDER",)),
    Table("losses", "reward_losses", 2.5, ("FOLDER",)),
    Table("within", "latent_reward_within", 0.5, ("FOLDER",)),
    Table("heads", "latent_reward_heads", 1.0, ("FOLDER",)),
    Table("guidance", "reward_guidance", 3.0, ("FOLDER", "--clean", "CLEAN")),
    Table("guidance-cfg", "reward_guidance", 5.0, ("FOLDER", "--clean", "CLEAN", "--guidance-scale", "4")),
    Table("alignment", "flow_alignment", 4.0, ("FOLDER",)),
    Table("alignment-unguided", "flow_alignment", 4.0, ("FOLDER", "--training-scale", "1")),
    Table("together", "all_together", 2.0, ("FOLDER",)),
    Table("rounds", "rvm_rounds", 1.5, ("FOLDER",)),
    Table("search", "seed_search", 1.0, ("FOLDER",)),
    Table("particles", "resampling", 0.2),
)


def main() -> None:
    """Make what is missing."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", choices=[table.name for table in TABLES], help="repeatable")
    parser.add_argument(
        "--clean", type=Path, help="the ablation that the latent reward's recipe makes, trained on clean latents"
    )
    parser.add_argument("--list", action="store_true", help="say what is finished and what is left, and make nothing")
    options = parser.parse_args()
    chosen = [table for table in TABLES if not options.only or table.name in options.only]
    folder = options.folder.absolute() / family_state(FAMILY)
    if options.list:
        for table in chosen:
            state = "finished" if (folder / table.name / FINISHED).exists() else f"about {table.hours:g} hours"
            print(f"{table.name:14}{state:18}{' '.join(command(table, Path('FOLDER'), options.clean)[1:])}")
        return
    if failed := make(folder, chosen, options):
        raise SystemExit(f"Not finished: {', '.join(failed)}. The same command goes on with them.")


def family_state(files: Sequence[Path]) -> str:
    """12 hexadecimal digits of what is in the files."""
    return hashlib.sha256("".join(content_fingerprint(file) for file in files).encode()).hexdigest()[:12]


def make(folder: Path, tables: Sequence[Table], options: argparse.Namespace) -> list[str]:
    """Run the scripts of the tables that are not finished; returns the names of those that failed."""
    failed = []
    written = ["--write", "--results", str(options.results.absolute())] if options.write else []
    for table in tables:
        own = folder / table.name
        finished = own / FINISHED
        if finished.exists():
            continue
        own.mkdir(parents=True, exist_ok=True)
        print(f"{table.name}: about {table.hours:g} hours", flush=True)
        if subprocess.run([*command(table, own, options.clean), *written], cwd=REPOSITORY).returncode:
            failed.append(table.name)
        else:
            finished.touch()
    return failed


def command(table: Table, folder: Path, clean: Path | None = None) -> list[str]:
    """The command line of a table."""
    words = list(table.arguments)
    if clean is None and "CLEAN" in words:
        at = words.index("CLEAN")
        del words[at - 1 : at + 1]
    known = {"FOLDER": str(folder), "CLEAN": str(clean and clean.absolute())}
    return [sys.executable, str(Path("benchmarks") / f"{table.script}.py"), *(known.get(word, word) for word in words)]


if __name__ == "__main__":
    main()
