"""``videoalign compare``: clips of two models, same prompts and seeds, against each other."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from ..cli.options import positional
from ..errors import VideoAlignError
from ..files.output_folder import held
from ..judges import judge_or_reward
from ..measures.opencv import OpenCVMissing, opencv
from ..reward.guard.comparing import verdict_of
from ..reward.guard.verdict import Verdict
from ..reward.win_rates import WinRate, win_rates
from .compare.judges import Judged
from .compare.judging import MEASURES, judge_both
from .compare.matching import MadeClip, match, read_manifest
from .compare.page import Example, write_comparison
from .compare.report import REPORT, Comparison, report_text, write_report
from .scoring.scoring_run import ScoringOptions, further_judges

MOST_TOLD = 10


class Config(ScoringOptions):
    """Compare the clips of two folders that videoalign generate wrote with the same prompts and seeds.

    Clips are scored with a video reward and with every other --judge, decoded once for all of them (a second run takes
    the scores that are there). Printed and written to report.json are, for each judge and dimension, the share of pairs that the candidate
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
    texts = [judge_or_reward(config.model), *config.judge]
    unmeasured, silent = _unmeasured(config), []
    if MEASURES not in texts and not unmeasured:
        silent = [MEASURES]
    everybody = judge_both(config, config.folders, config.output, [*texts, *silent], pairs, silent)
    if isinstance(everybody, int):
        return everybody
    measured = next((one for one in everybody if one.source == MEASURES), None)
    judged: dict[str, Judged] = {}
    for text, one in zip(texts, everybody, strict=False):
        judged[f"{one.title} ({text})" if one.title in judged else one.title] = one
    whole = [pair for pair in pairs if all(_has_both(one, pair) for one in judged.values())]
    unscored = {name: why for one in judged.values() for name, why in one.unscored.items()}
    if not whole:
        raise VideoAlignError("No pair has scores of both clips. " + "{}: {}".format(*next(iter(unscored.items()))))
    left_out, pairs = len(pairs) - len(whole), whole
    tables = {title: compare(pairs, one) for title, one in judged.items()}
    guard = _verdict(pairs, list(judged.values()), measured)
    comparison = Comparison(names, len(pairs), tables, guard, "" if measured else unmeasured)
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


def _unmeasured(config: Config) -> str:
    """Why nothing is measured beside what the judges say; empty where it can be."""
    if not config.guard:
        return "Nothing of the clips was measured (guard is off)."
    try:
        opencv()
    except OpenCVMissing as error:
        return f"Nothing of the clips was measured. {error}"
    return ""


def _verdict(pairs: list[tuple[MadeClip, MadeClip]], judged: list[Judged], measured: Judged | None) -> Verdict:
    """The first judge is the reward that the candidate may have learnt to please; all others watch."""
    seen = [pair for pair in pairs if measured and _has_both(measured, pair)]
    pairs, witness = seen or pairs, measured.witness(seen) if measured and seen else None
    reward, *watching = (one.witness(pairs) for one in judged if one is not measured or one is judged[0])
    reward = replace(reward, title="the reward")
    return verdict_of(reward, watching, witness, [clip.prompt for clip, _ in pairs])


def compare(pairs: list[tuple[MadeClip, MadeClip]], judged: Judged) -> dict[str, WinRate]:
    """Win rate of the candidate in each dimension, by one judge's scores."""
    base = [judged.base[clip.id] for clip, _ in pairs]
    candidate = [judged.candidate[clip.id] for _, clip in pairs]
    return win_rates(judged.dimensions, base, candidate, [clip.prompt for clip, _ in pairs])
