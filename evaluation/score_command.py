"""``videoalign score``: clips in, a table, CSV or JSON out."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from ..cli.options import positional
from ..errors import VideoAlignError
from ..judges import open_panel
from ..reward.judge import Dimension, Judge, all_dimensions
from .scoring.score_journal import ScoreJournal, check_output, csv_columns
from .scoring.score_rows import ScoreRow, rows_from_inputs, rows_from_manifest
from .scoring.score_table import score_summary, score_table
from .scoring.scoring_run import (
    Outcome,
    Process,
    ScoringOptions,
    judge_options,
    leave_to_the_last,
    named_judges,
    run_settings,
    score_rows,
)

LONG_TABLE = 60


class Config(ScoringOptions):
    """Score clips with a video reward model or another judge.

    Clips are files, folders or glob patterns, each scored against every --prompt; or the rows of a --manifest
    (CSV or JSONL with path, and optionally id, prompt and fps; paths relative to the manifest). A row that fails
    carries an error, the others go on, and the exit status is 1. Several processes (accelerate launch, torchrun)
    share the rows when --output is given; a run that was stopped goes on where it was.

    Several --judge look at each clip in one pass of decoding. The marks of each stand under its name (measures.motion); those of
    the first one keep theirs where they are VQ, MQ, TA, Overall. A judge that refuses a clip leaves its marks empty and its
    cause in "errors"; such a row counts as failed, and is tried again by the next run.
    """

    clips: list[str] = positional(default=[], description="Files, folders or glob patterns.")
    model: str | None = Field(
        None,
        description="VideoReward: converted file, checkpoint folder, name in ComfyUI's models/reward_models, or hub repository.",
    )
    judge: list[str] = Field(
        [],
        description="Judge in the place of --model, as NAME or NAME:SOURCE; videoreward:X is --model X. Repeat the option for a panel.",
    )
    prompt: list[str] = Field(
        [], description="Caption; repeat the option for several. Without one only VQ and MQ exist."
    )
    captions_from_txt: bool = Field(False, description="Take each clip's caption from the .txt file beside it.")
    manifest: Path | None = Field(None, description="CSV or JSONL file of rows instead of clips.")
    output: Path | None = Field(None, description="Write the results to this .csv or .jsonl file.")
    overwrite: bool = Field(False, description="Forget an earlier run with the same --output.")
    json_lines: bool = Field(
        False, alias="json", description="Print one JSON object a row on standard output, and nothing else there."
    )
    fps: float | None = Field(None, gt=0, description="Override the clips' own frame rate, in frames per second.")

    _judges = field_validator("judge", mode="before")(named_judges)

    @model_validator(mode="after")
    def _one_kind_of_input(self) -> Config:
        if bool(self.clips) == (self.manifest is not None):
            raise ValueError("give either clips or --manifest")
        if self.manifest is not None and (self.prompt or self.captions_from_txt):
            raise ValueError("captions come from the manifest; leave --prompt and --captions-from-txt out")
        if self.prompt and self.captions_from_txt:
            raise ValueError("--prompt and --captions-from-txt exclude each other")
        if (self.model is None) == (not self.judge):
            raise ValueError(
                "give either --model or --judge: what scores the clips, such as --model KlingTeam/VideoReward, or --model micro for clips "
                "of the micro model"
            )
        return self


def run(config: Config, judge: Judge | None = None) -> int:
    """Score; returns 0 when every row succeeded, 1 when some failed, 130 when interrupted.

    Args:
        judge: that of ``config``, where it is open already.

    Raises:
        VideoAlignError: the rows, the model or the output cannot be used at all.
    """
    process = Process.current()
    if config.output is not None:
        check_output(config.output, process.world, config.overwrite)
    elif process.world > 1:
        raise VideoAlignError(
            f"{process.world} processes need --output: through its journal they share the rows and the result."
        )
    rows = _rows(config)
    if judge is None:
        judge = open_panel(config.judge or [f"videoreward:{config.model}"], judge_options(config))
    journal = None
    if config.output is not None:
        settings = run_settings(judge)
        journal = ScoreJournal(
            config.output, settings, process.rank, process.world, config.overwrite, csv_columns(judge)
        )
    try:
        outcome = score_rows(judge, rows, config, process, journal, _print_json if config.json_lines else None)
    except KeyboardInterrupt:
        hint = " Run the same command again to go on." if journal else ""
        print(f"videoalign score: interrupted.{hint}", file=sys.stderr)
        return 130
    if outcome.results is None:
        return leave_to_the_last(process, outcome.failed)
    return report(config, outcome, all_dimensions(judge))


def tell(config: Config) -> int:
    """Print what scoring the rows takes; returns 0.

    Raises:
        VideoAlignError: the rows or the model cannot be used, or the judge is not a VideoReward.
    """
    from ..planning.report import plan_text
    from .scoring.score_plan import plan_score

    print(plan_text(plan_score(config, _rows(config))))
    return 0


def _rows(config: Config) -> list[ScoreRow]:
    if config.manifest is not None:
        rows = rows_from_manifest(config.manifest)
    else:
        rows = rows_from_inputs(config.clips, config.prompt, config.captions_from_txt)
    if config.fps is not None:
        rows = [replace(row, fps=config.fps if row.fps is None else row.fps) for row in rows]
    return rows


def report(config: Config, outcome: Outcome, dimensions: Sequence[Dimension], show: bool = True) -> int:
    """Print the results of a run that is whole; returns the exit status.

    Args:
        dimensions: of its judge, the overall one last.
        show: the marks too.
    """
    results = outcome.results
    if config.output is not None:
        print(f"{len(results)} rows in {config.output}.", file=sys.stderr)
    if show and not config.json_lines:
        whole = len(results) <= LONG_TABLE or config.output is None
        shown = score_table(results, dimensions=dimensions) if whole else score_summary(results, dimensions=dimensions)
        print(shown, flush=True)
    if outcome.failed:
        refused = sum("error" in result for result in results)
        said = [f"{refused} of {len(results)} rows failed"] if refused else []
        if outcome.failed > refused:
            said.append(f"{outcome.failed - refused} of {len(results)} rows lack the marks of a judge")
        print(f"videoalign score: {', '.join(said)}.", file=sys.stderr)
    return 1 if outcome.failed else 0


def _print_json(result: dict) -> None:
    text = json.dumps(result, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # a terminal without the script of the prompt, or a lone surrogate
        text = json.dumps(result)
    print(text, flush=True)
