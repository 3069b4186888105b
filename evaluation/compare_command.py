"""``videoalign compare``: clips of two models, same prompts and seeds, against each other."""

from __future__ import annotations

import math
import random
import re
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from ..cli.options import positional
from ..clips.find import CLIP_LIST
from ..errors import VideoAlignError
from ..files.atomic_file import write_json
from ..files.json_text import read_json
from ..files.output_folder import held
from ..files.portable_paths import file_name
from ..judges import JudgeError, judge_or_reward, open_judge
from ..reward.judge import Judge, all_dimensions
from ..reward.win_rates import WinRate, win_rates
from . import score_command
from .compare.judges import Judged, read_scores
from .compare.matching import MadeClip, match, read_manifest
from .compare.page import Comparison, Example, disagreements, write_comparison
from .guard import watched
from .guard.comparing import verdict_of
from .guard.verdict import Outcome, Verdict
from .scoring.scoring_run import ScoringOptions, further_judges, judge_options

SIDES = ("base", "candidate")
MOST_TOLD = 10
REPORT = "report.json"
MEASURES = "measures"


class Config(ScoringOptions):
    """Compare the clips of two folders that videoalign generate wrote with the same prompts and seeds.

    Clips are scored with a video reward and with every other --judge (each clip once; a second run takes the scores that
    are there). Printed and written to report.json are, for each judge and dimension, the share of pairs that the candidate
    wins with its 95 % interval, and index.html shows clips side by side. The verdict at the end says whether the gain was bought:
    "hacked" where the reward rose while a further judge or a measurement of the clips clearly fell. Pairs with a clip that
    cannot be scored are told and left out, and the exit status is 1.
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
    seed: int = Field(0, description="Of the lot.")
    guard: bool = Field(
        True, description="Measure motion, standstill, sharpness, light and colour of the clips too, for the verdict."
    )

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
    judged: dict[str, Judged] = {}
    for number, text in enumerate((judge_or_reward(config.model), *config.judge)):
        one = _judged(config, text, pairs, further=number > 0)
        if isinstance(one, int):
            return one
        judged[f"{one.title} ({text})" if one.title in judged else one.title] = one
    measured, unmeasured = _measured(config, pairs, judged)
    if isinstance(measured, int):
        return measured
    whole = [pair for pair in pairs if all(_has_both(one, pair) for one in judged.values())]
    unscored = {name: why for one in judged.values() for name, why in one.unscored.items()}
    if not whole:
        raise VideoAlignError("No pair has scores of both clips. " + "{}: {}".format(*next(iter(unscored.items()))))
    left_out, pairs = len(pairs) - len(whole), whole
    tables = {title: compare(pairs, one) for title, one in judged.items()}
    guard = _verdict(pairs, list(judged.values()), measured)
    comparison = Comparison(names, len(pairs), tables, guard, unmeasured)
    shown = random.Random(config.seed).sample(pairs, min(config.examples, len(pairs)))
    page = write_comparison(config.output, comparison, judged, [Example(*pair) for pair in shown])
    write_report(config.output / REPORT, comparison)
    print(report_text(comparison))
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


def _measured(
    config: Config, pairs: list[tuple[MadeClip, MadeClip]], judged: dict[str, Judged]
) -> tuple[Judged | int | None, str]:
    """What the measurements say, or the status of their run if it stopped, or None and why there are none."""
    if (given := next((one for one in judged.values() if one.source == MEASURES), None)) is not None:
        return given, ""
    if not config.guard:
        return None, "Nothing of the clips was measured (guard is off)."
    try:
        return _judged(config, MEASURES, pairs, further=True, show=False), ""
    except JudgeError as error:  # there is no OpenCV
        return None, f"Nothing of the clips was measured. {error}"


def _verdict(pairs: list[tuple[MadeClip, MadeClip]], judged: list[Judged], measured: Judged | None) -> Verdict:
    """The first judge is the reward that the candidate may have learnt to please; all others watch."""
    pairs = [pair for pair in pairs if measured is None or _has_both(measured, pair)] or pairs
    reward, *watching = (one.witness(pairs) for one in judged if one is not measured or one is judged[0])
    reward = replace(reward, title="the reward")
    measured = measured if measured and all(_has_both(measured, pair) for pair in pairs) else None
    return verdict_of(reward, watching, measured and measured.witness(pairs), [clip.prompt for clip, _ in pairs])


def _judged(
    config: Config, text: str, pairs: list[tuple[MadeClip, MadeClip]], further: bool, show: bool = True
) -> Judged | int:
    """What the judge ``text`` says of both folders, or the status of the scoring that stopped.

    Args:
        further: another judge than the first, whose sampling options are not its.
        show: print its marks.
    """
    options = judge_options(config)
    judge = open_judge(text, replace(options, sampling={}) if further else options)
    dimensions = all_dimensions(judge)
    marks, unscored = [], {}
    for number, (side, folder) in enumerate(zip(SIDES, config.folders, strict=True)):
        file = config.output / (f"scores_{side}_{_slug(text)}.jsonl" if further else f"scores_{side}.jsonl")
        status = score_folder(folder, file, config, text, judge, show)
        if status and (status != 1 or not file.is_file()):  # 1 with the file: some clips failed
            return status
        clips = [pair[number] for pair in pairs]
        details = [one.name for one in watched.MEASURES] if text == MEASURES else []
        scores, missing = read_scores(file, clips, [one.name for one in dimensions], details)
        marks.append(scores)
        unscored |= {f"{side} {name}": why for name, why in missing.items()}
    title = _reward_title(config.model) if text == f"videoreward:{config.model}" else judge.title
    return Judged(title, dimensions, *marks, unscored, text, judge.overall and judge.overall.name)


def _reward_title(model: str) -> str:
    return (
        "the embedded micro VideoReward, for clips of the micro world"
        if model == "micro"
        else f"the reward {Path(model).stem}"
    )


def score_folder(folder: Path, output: Path, options: Config, text: str, judge: Judge, show: bool = True) -> int:
    """Run ``videoalign score`` over a generated folder; scores that are there already are kept. Returns its status.

    Args:
        text, judge: the judge as it is named, and open.
        show: print the marks.
    """
    shared = {name: getattr(options, name) for name in ScoringOptions.model_fields}
    manifest = folder / CLIP_LIST if folder.is_dir() else folder
    return score_command.run(score_command.Config(manifest=manifest, judge=text, output=output, **shared), judge, show)


def compare(pairs: list[tuple[MadeClip, MadeClip]], judged: Judged) -> dict[str, WinRate]:
    """Win rate of the candidate in each dimension, by one judge's scores."""
    base = [judged.base[clip.id] for clip, _ in pairs]
    candidate = [judged.candidate[clip.id] for _, clip in pairs]
    return win_rates(judged.dimensions, base, candidate, [clip.prompt for clip, _ in pairs])


def _slug(text: str) -> str:
    """A judge's name and source as part of a file's name."""
    return file_name(re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-"))


def write_report(path: Path, comparison: Comparison) -> None:
    """The figures as JSON; null for an interval that one pair alone cannot give."""
    content = {
        "base": comparison.names[0],
        "candidate": comparison.names[1],
        "pairs": comparison.pairs,
        "judges": {
            judge: {name: asdict(rate) for name, rate in table.items()} for judge, table in comparison.tables.items()
        },
        "verdict": comparison.verdict.to_dict() | {"unmeasured": comparison.unmeasured},
    }
    write_json(path, _finite(content))


def outcome_of(folder: Path) -> Outcome:
    """The verdict of a comparison that was written into a folder.

    Raises:
        VideoAlignError: there is none that can be read.
    """
    report = folder / REPORT
    try:
        return Outcome(read_json(report)["verdict"]["outcome"])
    except (KeyError, TypeError, ValueError) as error:
        raise VideoAlignError(f"{report} holds no verdict; delete it and run the comparison again.") from error


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def report_text(comparison: Comparison) -> str:
    """The figures for a terminal."""
    names = comparison.names
    lines = [f"{names[1]} against {names[0]}: share of {comparison.pairs} pairs won (ties half), 95 % interval"]
    for judge, table in comparison.tables.items():
        cells = [f"{name} {rate.rate:.1%} [{rate.low:.1%}, {rate.high:.1%}]" for name, rate in table.items()]
        lines.append(f"  by {judge}: " + "  ".join(cells))
    lines += [f"  {text}" for text in disagreements(comparison.tables)]
    lines.append(f"Verdict: {comparison.verdict.outcome.value}. {comparison.verdict.sentence}")
    return "\n".join([*lines, comparison.unmeasured] if comparison.unmeasured else lines)
