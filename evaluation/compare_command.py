"""``videoalign compare``: clips of two models, same prompts and seeds, against each other."""

from __future__ import annotations

import random
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from ..cli.options import positional
from ..files.atomic_file import write_json
from . import score_command
from .compare.judges import DIMENSIONS, Scores, measure_micro_world, read_scores
from .compare.matching import MANIFEST, MadeClip, match, read_manifest
from .compare.page import Example, disagreements, write_comparison
from .compare.win_rates import WinRate, win_rate
from .scoring.scoring_run import ScoringOptions


class Config(ScoringOptions):
    """Compare the clips of two folders that videoalign generate wrote with the same prompts and seeds.

    Clips are scored with a video reward (each once; a second run takes the scores that are there). Printed and written
    to report.json are, for each dimension, the share of pairs that the candidate wins with its 95 % interval, and
    index.html shows clips side by side.
    """

    folders: list[Path] = positional(default=[], description="Folder of the base, folder of the candidate.")
    model: str = Field(description="Video reward that judges: a file, folder or name, as in videoalign score.")
    judge: Literal["none", "micro-world"] = Field(
        "none", description="A second judge: micro-world measures clips of the micro world without any reward."
    )
    output: Path = Field(description="Folder for the page, the report and the scores.")
    names: list[str] = Field([], description="What to call base and candidate; their folders' names by default.")
    examples: int = Field(12, ge=0, description="Pairs of clips on the page, picked by lot.")
    seed: int = Field(0, description="Of the lot and the intervals.")

    @model_validator(mode="after")
    def _two_of_each(self) -> Config:
        if len(self.folders) != 2:
            raise ValueError(f"give two folders, base and candidate (found {len(self.folders)})")
        if len(self.names) not in (0, 2):
            raise ValueError(f"give --names twice, for base and candidate, or not at all (found {len(self.names)})")
        return self


def run(config: Config) -> int:
    """Score, compare, write; returns 0, or what scoring returned if it failed.

    Raises:
        VideoAlignError: a folder without clips, nothing that matches, clips that cannot be judged.
    """
    both = [read_manifest(folder) for folder in config.folders]
    pairs = match(*both)
    config.output.mkdir(parents=True, exist_ok=True)
    names = tuple(config.names) or tuple(folder.resolve().name for folder in config.folders)
    if names[0] == names[1]:
        names = ("base", "candidate")
    judged: dict[str, tuple[Scores, Scores]] = {}
    reward = []
    for side, folder in enumerate(config.folders):
        file = config.output / f"scores_{('base', 'candidate')[side]}.jsonl"
        status = score_folder(folder, file, config)
        if status:
            return status
        reward.append(read_scores(file, [pair[side] for pair in pairs]))
    judged[f"the reward {Path(config.model).stem}"] = (reward[0], reward[1])
    if config.judge == "micro-world":
        first, second = (measure_micro_world([pair[side] for pair in pairs]) for side in (0, 1))
        judged["the world's own measurement"] = (first, second)
    tables = {judge: compare(pairs, *scores, seed=config.seed) for judge, scores in judged.items()}
    shown = random.Random(config.seed).sample(pairs, min(config.examples, len(pairs)))
    page = write_comparison(config.output, names, tables, judged, [Example(*pair) for pair in shown], len(pairs))
    write_report(config.output / "report.json", names, len(pairs), tables)
    print(report_text(names, len(pairs), tables))
    print(f"\nOpen {page} to see the clips side by side.")
    return 0


def score_folder(folder: Path, output: Path, options: Config) -> int:
    """Run ``videoalign score`` over a generated folder; scores that are there already are kept. Returns its status."""
    own = {name: getattr(options, name) for name in ScoringOptions.model_fields}
    manifest = folder / MANIFEST if folder.is_dir() else folder
    return score_command.run(score_command.Config(manifest=manifest, model=options.model, output=output, **own))


def compare(
    pairs: list[tuple[MadeClip, MadeClip]], base: Scores, candidate: Scores, seed: int = 0
) -> dict[str, WinRate]:
    """Win rate of the candidate in each dimension, by one judge's scores."""
    prompts = [clip.prompt for clip, _ in pairs]
    return {
        name: win_rate(
            [base[clip.id][name] for clip, _ in pairs],
            [candidate[clip.id][name] for _, clip in pairs],
            prompts,
            seed=seed,
        )
        for name in DIMENSIONS
    }


def write_report(path: Path, names: tuple[str, str], pairs: int, tables: dict[str, dict[str, WinRate]]) -> None:
    """The figures as JSON."""
    content = {
        "base": names[0],
        "candidate": names[1],
        "pairs": pairs,
        "judges": {judge: {name: asdict(rate) for name, rate in table.items()} for judge, table in tables.items()},
    }
    write_json(path, content)


def report_text(names: tuple[str, str], pairs: int, tables: dict[str, dict[str, WinRate]]) -> str:
    """The figures for a terminal."""
    lines = [f"{names[1]} against {names[0]}: share of {pairs} pairs won (ties half), 95 % interval"]
    for judge, table in tables.items():
        cells = [f"{name} {rate.rate:.1%} [{rate.low:.1%}, {rate.high:.1%}]" for name, rate in table.items()]
        lines.append(f"  by {judge}: " + "  ".join(cells))
    return "\n".join(lines + [f"  {text}" for text in disagreements(tables)])
