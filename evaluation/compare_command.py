"""``videoalign compare``: clips of two models, same prompts and seeds, against each other."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from ..cli.options import positional
from ..clips.find import CLIP_LIST
from ..errors import VideoAlignError
from ..files.atomic_file import write_json
from ..files.output_folder import held
from ..judges import judge_or_reward, open_judge
from ..reward.judge import Judge, all_dimensions
from ..reward.win_rates import WinRate, win_rates
from . import score_command
from .compare.judges import Judged, read_scores
from .compare.matching import MadeClip, match, read_manifest
from .compare.page import Example, disagreements, write_comparison
from .scoring.score_journal import ScoreJournal, csv_columns
from .scoring.score_rows import rows_from_manifest
from .scoring.scoring_apart import judge_slug, score_apart
from .scoring.scoring_run import (
    Process,
    ScoringOptions,
    further_judges,
    judge_options,
    leave_to_the_last,
    run_settings,
)

SIDES = ("base", "candidate")
MOST_TOLD = 10


class Config(ScoringOptions):
    """Compare the clips of two folders that videoalign generate wrote with the same prompts and seeds.

    Clips are scored with a video reward and with every other --judge, decoded once for all of them (a second run takes the
    scores that are there). Printed and written to report.json are, for each judge and dimension, the share of pairs that the candidate
    wins with its 95 % interval, and index.html shows clips side by side. Pairs with a clip that cannot be scored are told and left
    out, and the exit status is 1.
    """

    folders: list[Path] = positional(default=[], description="Folder of the base, folder of the candidate.")
    model: str = Field(
        "micro",
        description=(
            "What judges first: a VideoReward as --model of videoalign score, or another judge as its --judge. The embedded "
            "one by default, which knows clips of the micro world only."
        ),
    )
    judge: list[str] = Field(
        [],
        description="A further judge, as NAME or NAME:SOURCE; repeatable. micro-world measures clips of the micro world without any reward.",
    )
    output: Path = Field(description="Folder for the page, the report and the scores.")
    names: list[str] = Field([], description="What to call base and candidate; their folders' names by default.")
    examples: int = Field(12, ge=0, description="Pairs of clips on the page, picked by lot.")
    seed: int = Field(0, description="Of the lot and the intervals.")

    _judges = field_validator("judge", mode="before")(further_judges)

    @model_validator(mode="after")
    def _two_of_each(self) -> Config:
        if len(self.folders) != 2:
            raise ValueError(f"give two folders, base and candidate (found {len(self.folders)})")
        if len(self.names) not in (0, 2):
            raise ValueError(f"give --names twice, for base and candidate, or not at all (found {len(self.names)})")
        return self


def run(config: Config) -> int:
    """Score, compare, write; returns 0, 1 when pairs had to be left out, or what scoring returned if it was stopped.

    Raises:
        VideoAlignError: a folder without clips, nothing that matches, or not one pair that can be judged.
    """
    both = [read_manifest(folder) for folder in config.folders]
    with held(config.output, "compare"):
        return _compare(config, match(*both))


def _compare(config: Config, pairs: list[tuple[MadeClip, MadeClip]]) -> int:
    names = tuple(config.names) or tuple(folder.resolve().name for folder in config.folders)
    if names[0] == names[1]:
        names = ("base", "candidate")
    texts = (judge_or_reward(config.model), *config.judge)
    everybody = _judged(config, texts, pairs)
    if isinstance(everybody, int):
        return everybody
    judged: dict[str, Judged] = {}
    for text, one in zip(texts, everybody, strict=True):
        judged[f"{one.title} ({text})" if one.title in judged else one.title] = one
    whole = [pair for pair in pairs if all(_has_both(one, pair) for one in judged.values())]
    unscored = {name: why for one in judged.values() for name, why in one.unscored.items()}
    if not whole:
        raise VideoAlignError("No pair has scores of both clips. " + "{}: {}".format(*next(iter(unscored.items()))))
    left_out, pairs = len(pairs) - len(whole), whole
    tables = {title: compare(pairs, one, seed=config.seed) for title, one in judged.items()}
    shown = random.Random(config.seed).sample(pairs, min(config.examples, len(pairs)))
    page = write_comparison(config.output, names, tables, judged, [Example(*pair) for pair in shown], len(pairs))
    write_report(config.output / "report.json", names, len(pairs), tables)
    print(report_text(names, len(pairs), tables))
    print(f"\nOpen {page} to see the clips side by side.")
    if not left_out:
        return 0
    print(
        f"videoalign compare: {left_out} pairs are left out, because clips of theirs have no scores:", file=sys.stderr
    )
    for name, why in list(unscored.items())[:MOST_TOLD]:
        print(f"  {name}: {why}", file=sys.stderr)
    if len(unscored) > MOST_TOLD:
        print(
            f"  and {len(unscored) - MOST_TOLD} more; the files of scores in {config.output} have them all",
            file=sys.stderr,
        )
    return 1


def _has_both(judged: Judged, pair: tuple[MadeClip, MadeClip]) -> bool:
    return pair[0].id in judged.base and pair[1].id in judged.candidate


def _judged(config: Config, texts: Sequence[str], pairs: list[tuple[MadeClip, MadeClip]]) -> list[Judged] | int:
    """What each judge says of both folders, or the status of the scoring that stopped.

    Args:
        texts: the judges as they are named. The sampling options are the first one's.
    """
    options = judge_options(config)
    further = replace(options, sampling={})
    judges = [open_judge(text, further if number else options) for number, text in enumerate(texts)]
    files = {
        side: [
            config.output / (f"scores_{side}_{judge_slug(text)}.jsonl" if number else f"scores_{side}.jsonl")
            for number, text in enumerate(texts)
        ]
        for side in SIDES
    }
    for side, folder in zip(SIDES, config.folders, strict=True):
        status = score_folder(folder, files[side], config, texts, judges)
        if status and (status != 1 or not all(file.is_file() for file in files[side])):  # 1: some clips failed
            return status
    everybody = []
    for number, (text, judge) in enumerate(zip(texts, judges, strict=True)):
        dimensions = all_dimensions(judge)
        marks, unscored = [], {}
        for position, side in enumerate(SIDES):
            clips, names = [pair[position] for pair in pairs], [one.name for one in dimensions]
            scores, missing = read_scores(files[side][number], clips, names)
            marks.append(scores)
            unscored |= {f"{side} {name}": why for name, why in missing.items()}
        title = _reward_title(config.model) if text == f"videoreward:{config.model}" else judge.title
        everybody.append(Judged(title, dimensions, *marks, unscored))
    return everybody


def _reward_title(model: str) -> str:
    return (
        "the embedded micro VideoReward, for clips of the micro world"
        if model == "micro"
        else f"the reward {Path(model).stem}"
    )


def score_folder(
    folder: Path, outputs: Sequence[Path], options: Config, texts: Sequence[str], judges: Sequence[Judge]
) -> int:
    """Score a generated folder by all judges in one pass; scores that are there already are kept.

    Args:
        outputs: a score file for each judge, as ``videoalign score`` writes it.
        texts, judges: the judges as they are named, and open.

    Returns:
        the status of ``videoalign score``: 1 where some clips failed, 130 when interrupted.
    """
    shared = {name: getattr(options, name) for name in ScoringOptions.model_fields}
    manifest = folder / CLIP_LIST if folder.is_dir() else folder
    runs = [
        score_command.Config(manifest=manifest, judge=[text], output=output, **shared)
        for text, output in zip(texts, outputs, strict=True)
    ]
    process = Process.current()
    rows = rows_from_manifest(manifest)
    journals = [
        ScoreJournal(output, run_settings(judge), process.rank, process.world, False, csv_columns(judge))
        for judge, output in zip(judges, outputs, strict=True)
    ]
    try:
        outcomes = score_apart(judges, rows, options, process, journals)
    except KeyboardInterrupt:
        print("videoalign compare: interrupted. Run the same command again to go on.", file=sys.stderr)
        return 130
    if any(outcome.results is None for outcome in outcomes):
        return leave_to_the_last(process, max(outcome.failed for outcome in outcomes))
    told = zip(runs, outcomes, judges, strict=True)
    return max(score_command.report(run, outcome, all_dimensions(judge)) for run, outcome, judge in told)


def compare(pairs: list[tuple[MadeClip, MadeClip]], judged: Judged, seed: int = 0) -> dict[str, WinRate]:
    """Win rate of the candidate in each dimension, by one judge's scores."""
    base = [judged.base[clip.id] for clip, _ in pairs]
    candidate = [judged.candidate[clip.id] for _, clip in pairs]
    return win_rates(judged.dimensions, base, candidate, [clip.prompt for clip, _ in pairs], seed=seed)


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
