"""``videoalign bench``: how often a reward agrees with people, on VideoGen-RewardBench, GenAI-Bench or any pairs."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ..cli.options import positional
from ..errors import VideoAlignError
from ..files.output_folder import held
from ..files.tables import read_table
from ..judges import open_judge
from ..preferences.preference_file import Preferences
from ..preferences.reading import read_preferences
from ..reward.dimensions import RATED
from ..reward.judge import Judge
from ..reward.panel import Panel, seats_of
from ..reward.weight_options import named_weights
from .bench.known_scores import read_known_scores
from .bench.measure import Measurement, compare, measure
from .bench.output_files import FILES, write_files
from .bench.pairs import BenchPair, bench_pairs, clip_rows, missing_clips
from .bench.protocol import PROTOCOLS, REWARD_BENCH, Protocol, protocol_of
from .bench.report import failure_lines, judges_table, measurement_table
from .bench.rewards import PANEL, Results, Reward, panel_marks, panel_of
from .scoring.score_journal import ScoreJournal, check_output
from .scoring.scoring_apart import judge_slug, score_apart
from .scoring.scoring_run import (
    Process,
    ScoringOptions,
    judge_options,
    leave_to_the_last,
    named_judges,
    run_settings,
)

SCORES = "scores.jsonl"
MANY_PAIRS = 5000


class Config(ScoringOptions):
    """Measure how often a reward agrees with people's choices between two clips.

    Reads VideoGen-RewardBench's CSV, a GenAI-Bench table (CSV, JSON or JSONL), or any other preference file; scores
    each distinct clip and prompt once with --model (or --judge), or takes --scores that exist already. Prints the accuracies by
    dimension, without and with ties, and writes into --output:

      out_single.csv, out_pair.csv, accuracy.json   as VideoAlign's official script does
      agreement.json                                everything that was measured, with intervals, and what failed
      scores.jsonl                                  the model's scores in full

    Several --judge are measured in one table, from one pass of decoding; each has these files in a folder of its own inside --output. With
    --weight their panel is measured too: the weighted z-scores among the clips of a prompt, against the label Overall.

    A clip that fails is reported, the pairs with it are left out, and the exit status is 1. A run that was stopped goes
    on where it was; several processes (accelerate launch, torchrun) share the clips.
    """

    pairs: Path = positional(description="Preference file.")
    model: str | None = Field(
        None,
        description="VideoReward: converted file, checkpoint folder, name in ComfyUI's models/reward_models, or hub repository.",
    )
    judge: list[str] = Field(
        [],
        description="Judge in the place of --model, as NAME or NAME:SOURCE; repeatable. Where its marks are not called VQ, MQ, TA, Overall, its overall mark (or its only one) is compared with the label Overall.",
    )
    scores: Path | None = Field(
        None,
        description="CSV or JSONL with path, prompt and VQ, MQ, TA, Overall instead of a model: what videoalign score wrote, or any other reward's.",
    )
    weight: list[str] = Field(
        [],
        description="NAME=WEIGHT of a mark that the panel goes by, such as VQ=1 or measures.motion=0.5; repeat the option for each.",
    )
    output: Path | None = Field(None, description="Folder for the results; needed with --model.")
    overwrite: bool = Field(False, description="Forget an earlier run with the same --output.")
    videos: Path | None = Field(
        None, description="Folder that the clips' paths start from; the preference file's own by default."
    )
    format: str = Field("auto", description="Format of the preference file, such as native, videoalign, genai_bench.")
    protocol: Literal["auto", "videogen-rewardbench", "genai-bench"] = Field(
        "auto",
        description="videogen-rewardbench: every dimension, frames as the checkpoint says (the released one: 2 fps, 448x448 pixels); genai-bench: the vote against TA, at most 256x256 pixels; auto: by the file.",
    )
    group_by: str = Field(
        "auto",
        description="Also measure by this column (or one of each side, such as model for A_model and B_model); auto: generation, else model, where there are several; none.",
    )
    confidence: float = Field(0.95, gt=0, lt=1, description="Of the intervals.")
    resamples: int = Field(1000, ge=1, description="Bootstrap resamples for the intervals.")
    seed: int = Field(0, ge=0, description="Of the resampling.")

    _judges = field_validator("judge", mode="before")(named_judges)

    @model_validator(mode="after")
    def _one_source_of_scores(self) -> Config:
        if sum((self.model is not None, bool(self.judge), self.scores is not None)) != 1:
            raise ValueError("give either --model or --scores, or --judge")
        if self.scores is None and self.output is None:
            option = "--judge" if self.judge else "--model"
            raise ValueError(f"{option} needs --output, a folder in which a stopped run goes on")
        if len({judge_slug(text) for text in self.judge}) < len(self.judge):
            raise ValueError("a judge is named twice")
        named_weights(self.weight)
        return self

    @property
    def judges(self) -> list[str]:
        """Who scores, the model among them; none where there are scores already."""
        return self.judge or ([] if self.model is None else [f"videoreward:{self.model}"])

    def folder(self, judge: str) -> Path:
        """Where the files of a judge, or of the panel, lie."""
        inside = len(self.judges) > 1 or judge == PANEL
        return self.output / judge_slug(judge) if inside else self.output


def run(config: Config) -> int:
    """Measure; returns 0 when every clip has scores, 1 when some have none, 130 when interrupted.

    Raises:
        VideoAlignError: the pairs, the model, the scores or the output cannot be used at all.
    """
    process = Process.current()
    if config.output is not None:
        _check_folder(config, process)
    preferences, protocol = _read_pairs(config)
    pairs = bench_pairs(preferences)
    with nullcontext() if config.output is None else held(config.output, "bench", wanted=process.rank == 0):
        return _run(config, process, preferences, protocol, pairs)


def _run(config: Config, process: Process, preferences: Preferences, protocol: Protocol, pairs: list[BenchPair]) -> int:
    about = {"benchmark": protocol.name, "pairs_file": str(config.pairs), "format": preferences.format}
    weights = named_weights(config.weight)
    if config.scores is not None:
        if process.rank > 0:
            return 0  # nothing to share
        further = list(weights.values) if weights else []
        marks = read_known_scores(config.scores, pairs, preferences.root, further)
        alone = protocol if any(set(RATED) & row.keys() for row in marks.values()) or not weights else None
        rewards = [Reward(config.scores.name, str(config.scores), marks, alone, {"scores": str(config.scores)})]
    else:
        try:
            scored = _score(config, pairs, protocol, process)
        except KeyboardInterrupt:
            print("videoalign bench: interrupted. Run the same command again to go on.", file=sys.stderr)
            return 130
        if isinstance(scored, int):
            return scored
        rewards, marks = scored
    if weights:
        rewards = [*rewards, panel_of(pairs, marks, weights, protocol)]
    return _measure(config, pairs, rewards, protocol, about)


def _measure(
    config: Config, pairs: list[BenchPair], rewards: list[Reward], rules: Protocol, about: dict[str, Any]
) -> int:
    """Measure, write and print; a judge that nothing can be measured of does not keep the others from it."""
    options = {"confidence": config.confidence, "resamples": config.resamples, "seed": config.seed}
    rewards = [reward for reward in rewards if reward.protocol is not None]
    if len(pairs) > MANY_PAIRS:
        print(f"Measuring {len(pairs)} pairs and resampling the intervals; this takes minutes.", file=sys.stderr)
    measured: dict[str, tuple[Measurement, Protocol]] = {}
    refused: dict[str, VideoAlignError] = {}
    for reward in rewards:
        try:
            comparison = compare(pairs, reward.results, reward.protocol)
        except VideoAlignError as error:
            refused[reward.name] = error
            continue
        measurement = measure(comparison, reward.protocol, config.group_by, **options)
        measured[reward.name] = measurement, reward.protocol
        if config.output is not None:
            folder = config.folder(reward.name if reward.name == PANEL else reward.source)
            folder.mkdir(parents=True, exist_ok=True)
            content = {**about, **reward.about, **options, "clips": len(clip_rows(pairs))}
            write_files(folder, pairs, reward.results, measurement, content, reward.protocol.scores)
    if not measured:
        raise next(iter(refused.values()))
    title = f"{rules.title} rules, {config.pairs.name}, scores of "
    if len(rewards) == 1:
        [(measurement, protocol)] = measured.values()
        source = config.scores or config.model or rewards[0].source
        print(measurement_table(measurement, protocol, f"{title}{source}"))
        return _report_failures(config, measurement)
    print(judges_table(measured, title + "; ".join(f"{reward.name}: {reward.source}" for reward in rewards)))
    for name, error in refused.items():
        print(f"videoalign bench: {name} is not measured. {error}", file=sys.stderr)
    statuses = [_report_failures(config, measurement, f"{name}: ") for name, (measurement, _) in measured.items()]
    return 1 if refused else max(statuses)


def _check_folder(config: Config, process: Process) -> None:
    """Refuse an output folder that holds other results, before anything slow is done."""
    if config.output.exists() and not config.output.is_dir():
        raise VideoAlignError(f"--output {config.output} is a file; it must be a folder.")
    # A panel is measured from what is there, so its files are made anew.
    for folder in [config.folder(judge) for judge in config.judges] or [config.output]:
        scores = folder / SCORES
        unfinished = config.scores is None and scores.with_name(SCORES + ".run").is_dir()
        existing = [name for name in FILES if (folder / name).exists()]
        if existing and not unfinished and not config.overwrite:
            raise VideoAlignError(
                f"{folder} holds {existing[0]} of another run. Choose another --output, or --overwrite."
            )
        if config.scores is None:
            check_output(scores, process.world, config.overwrite)


def _read_pairs(config: Config) -> tuple[Preferences, Protocol]:
    preferences = read_preferences(config.pairs, config.format, config.videos)
    if config.protocol == REWARD_BENCH.name and preferences.format == "videoalign":  # asked for: then all four
        read_table(config.pairs, RATED).require(RATED)
    return preferences, PROTOCOLS.get(config.protocol) or protocol_of(preferences)


def _score(
    config: Config, pairs: list[BenchPair], protocol: Protocol, process: Process
) -> tuple[list[Reward], Results] | int:
    """Each judge with its scores, and all marks under their names in a panel; or the status where others have clips left."""
    missing = missing_clips(pairs)
    if missing and process.rank == 0:
        shown = "; ".join(missing[:5]) + (f"; and {len(missing) - 5} more" if len(missing) > 5 else "")
        print(f"videoalign bench: clips are missing, their pairs will be left out: {shown}", file=sys.stderr)
    options = judge_options(config, protocol.max_pixels)
    further = replace(options, sampling={})
    judges = [open_judge(text, further if number else options) for number, text in enumerate(config.judges)]
    protocols = [_protocol_for(judge, protocol, wanted=not config.weight) for judge in judges]
    rows = clip_rows(pairs)
    journals = [
        ScoreJournal(config.folder(text) / SCORES, run_settings(judge), process.rank, process.world, config.overwrite)
        for text, judge in zip(config.judges, judges, strict=True)
    ]
    outcomes = score_apart(judges, list(rows.values()), config, process, journals)
    if any(outcome.results is None for outcome in outcomes):
        return leave_to_the_last(process, max(outcome.failed for outcome in outcomes))
    seats = Panel(judges).seats if len(judges) > 1 else seats_of(judges[0])
    rewards = []
    for seat, text, outcome, rules in zip(seats, config.judges, outcomes, protocols, strict=True):
        results = dict(zip(rows, outcome.results or (), strict=True))
        about = {"model": {"source": config.model or text, **run_settings(seat.judge)}}
        rewards.append(Reward(seat.name, text, results, rules, about))
    return rewards, panel_marks(seats, [reward.results for reward in rewards])


def _protocol_for(judge: Judge, protocol: Protocol, wanted: bool) -> Protocol | None:
    """The rules for a judge; None for one that has no mark for the whole, where it need not be measured by itself."""
    try:
        return protocol.for_judge(judge)
    except VideoAlignError:
        if wanted:
            raise
        return None


def _report_failures(config: Config, measurement: Measurement, whose: str = "") -> int:
    comparison = measurement.comparison
    if config.output is not None:
        print(f"Results are in {config.output}.", file=sys.stderr)
    if not comparison.failures:
        return 0
    total = len(comparison.pairs) + comparison.left_out
    print(
        f"videoalign bench: {whose}{len(comparison.failures)} clips have no scores; {comparison.left_out} of {total} pairs are left out:",
        *failure_lines(measurement),
        sep="\n",
        file=sys.stderr,
    )
    return 1
