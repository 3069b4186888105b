"""``videoalign bench``: how often a reward agrees with people, on VideoGen-RewardBench, GenAI-Bench or any pairs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from ..cli.options import positional
from ..errors import VideoAlignError
from ..files.output_folder import held
from ..files.tables import read_table
from ..judges import open_judge, parse_judge
from ..preferences.preference_file import Preferences
from ..preferences.reading import read_preferences
from ..reward.dimensions import RATED
from .bench.known_scores import read_known_scores
from .bench.measure import Measurement, compare, measure
from .bench.output_files import FILES, write_files
from .bench.pairs import BenchClip, BenchPair, bench_pairs, clip_rows, missing_clips
from .bench.protocol import PROTOCOLS, REWARD_BENCH, Protocol, protocol_of
from .bench.report import failure_lines, measurement_table
from .scoring.score_journal import ScoreJournal, check_output
from .scoring.scoring_run import (
    Outcome,
    Process,
    ScoringOptions,
    judge_options,
    leave_to_the_last,
    run_settings,
    score_rows,
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

    A clip that fails is reported, the pairs with it are left out, and the exit status is 1. A run that was stopped goes
    on where it was; several processes (accelerate launch, torchrun) share the clips.
    """

    pairs: Path = positional(description="Preference file.")
    model: str | None = Field(
        None,
        description="VideoReward: converted file, checkpoint folder, name in ComfyUI's models/reward_models, or hub repository.",
    )
    judge: str | None = Field(
        None,
        description="Another judge in the place of --model, as NAME or NAME:SOURCE. Where its marks are not called VQ, MQ, TA, Overall, its overall mark (or its only one) is compared with the label Overall.",
    )
    scores: Path | None = Field(
        None,
        description="CSV or JSONL with path, prompt and VQ, MQ, TA, Overall instead of a model: what videoalign score wrote, or any other reward's.",
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

    @model_validator(mode="after")
    def _one_source_of_scores(self) -> Config:
        if sum(source is not None for source in (self.model, self.judge, self.scores)) != 1:
            raise ValueError("give either --model or --scores, or --judge")
        if self.scores is None and self.output is None:
            option = "--model" if self.judge is None else "--judge"
            raise ValueError(f"{option} needs --output, a folder in which a stopped run goes on")
        if self.judge is not None:
            parse_judge(self.judge)
        return self


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
    if config.scores is not None:
        if process.rank > 0:
            return 0  # nothing to share
        results = read_known_scores(config.scores, pairs, preferences.root)
        about["scores"] = str(config.scores)
        source = str(config.scores)
    else:
        try:
            outcome, results, protocol, about["model"] = _score(config, pairs, protocol, process)
        except KeyboardInterrupt:
            print("videoalign bench: interrupted. Run the same command again to go on.", file=sys.stderr)
            return 130
        if outcome.results is None:
            return leave_to_the_last(process, outcome.failed)
        source = config.judge or config.model
    options = {"confidence": config.confidence, "resamples": config.resamples, "seed": config.seed}
    comparison = compare(pairs, results, protocol)
    if len(pairs) > MANY_PAIRS:
        print(f"Measuring {len(pairs)} pairs and resampling the intervals; this takes minutes.", file=sys.stderr)
    measurement = measure(comparison, protocol, config.group_by, **options)
    if config.output is not None:
        about |= {**options, "clips": len(clip_rows(pairs))}
        write_files(config.output, pairs, results, measurement, about, protocol.scores)
    print(measurement_table(measurement, protocol, f"{protocol.title} rules, {config.pairs.name}, scores of {source}"))
    return _report_failures(config, measurement)


def _check_folder(config: Config, process: Process) -> None:
    """Refuse an output folder that holds other results, before anything slow is done."""
    if config.output.exists() and not config.output.is_dir():
        raise VideoAlignError(f"--output {config.output} is a file; it must be a folder.")
    scores = config.output / SCORES
    unfinished = config.scores is None and scores.with_name(SCORES + ".run").is_dir()
    existing = [name for name in FILES if (config.output / name).exists()]
    if existing and not unfinished and not config.overwrite:
        raise VideoAlignError(
            f"{config.output} holds {existing[0]} of another run. Choose another --output, or --overwrite."
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
) -> tuple[Outcome, Mapping[BenchClip, dict], Protocol, dict]:
    """The outcome of scoring, the scores by clip, the protocol for this judge, and what the scores depend on."""
    missing = missing_clips(pairs)
    if missing and process.rank == 0:
        shown = "; ".join(missing[:5]) + (f"; and {len(missing) - 5} more" if len(missing) > 5 else "")
        print(f"videoalign bench: clips are missing, their pairs will be left out: {shown}", file=sys.stderr)
    judge = open_judge(config.judge or f"videoreward:{config.model}", judge_options(config, protocol.max_pixels))
    settings, protocol = run_settings(judge), protocol.for_judge(judge)
    rows = clip_rows(pairs)
    journal = ScoreJournal(config.output / SCORES, settings, process.rank, process.world, config.overwrite)
    outcome = score_rows(judge, list(rows.values()), config, process, journal)
    results = dict(zip(rows, outcome.results or (), strict=outcome.results is not None))
    about = {"source": config.judge or config.model, **settings}
    return outcome, results, protocol, about


def _report_failures(config: Config, measurement: Measurement) -> int:
    comparison = measurement.comparison
    if config.output is not None:
        print(f"Results are in {config.output}.", file=sys.stderr)
    if not comparison.failures:
        return 0
    total = len(comparison.pairs) + comparison.left_out
    print(
        f"videoalign bench: {len(comparison.failures)} clips have no scores; {comparison.left_out} of {total} pairs are left out:",
        *failure_lines(measurement),
        sep="\n",
        file=sys.stderr,
    )
    return 1
