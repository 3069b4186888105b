"""A scoring run: rows through a judge, resumable and shared by several processes.

What every command that scores clips has in common: the options, what a run depends on, and the loop that takes finished
rows from a journal (`score_journal`) and adds the new ones.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from ...cli.options import CommandConfig
from ...errors import VideoAlignError
from ...files.portable_paths import path_text
from ...judges import JudgeOptions, parse_judge
from .score_batches import ClipRows, share_of_rank
from .score_journal import ScoreJournal
from .score_rows import ScoreRow

if TYPE_CHECKING:
    from ...reward.judge import Judge


class SamplingOverrides(CommandConfig):
    """Departures from how the checkpoint samples frames; they change the scores."""

    fps: float | None = Field(
        None, gt=0, description="Sampled frames per second of clip; the checkpoint's own by default."
    )
    num_frames: int | None = Field(None, ge=2, description="A fixed number of frames instead of a rate.")
    max_pixels: int | None = Field(None, ge=784, description="Largest height * width of a resized frame, in pixels.")

    @model_validator(mode="after")
    def _one_of_two(self) -> SamplingOverrides:
        if self.fps is not None and self.num_frames is not None:
            raise ValueError("fps and num_frames exclude each other; give one of them")
        return self


class ScoringOptions(CommandConfig):
    """How a judge is opened and run."""

    base: Path | None = Field(None, description="Folder of the base model of an official checkpoint.")
    step: int | None = Field(None, description="Which checkpoint-N of an official checkpoint; the highest by default.")
    download: bool = Field(False, description="Permit downloading from the hub.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Arithmetic; auto: the checkpoint's own."
    )
    weights: Literal["auto", "8bit", "4bit"] = Field("auto", description="Keep a large judge's weights in fewer bits.")
    device: str | None = Field(
        None, description="Such as cuda:1, xpu, mps or cpu; the process's own accelerator by default."
    )
    batch_size: int = Field(
        4, ge=1, description="Clips decoded ahead; some judges score those of like length together."
    )
    decode_threads: int = Field(2, ge=0, description="Threads that decode while the model works; 0: none.")
    sampling: SamplingOverrides = SamplingOverrides()


def further_judges(value: object) -> object:
    """Judges of an option or a file: a list of NAME or NAME:SOURCE. "none" and a single text are what 0.1.0 had.

    Raises:
        JudgeError: there is no such judge.
    """
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        return value  # for pydantic to refuse
    judges = [text for text in value if text != "none"]
    for text in judges:
        parse_judge(text)
    return judges


@dataclass(frozen=True)
class Process:
    """This process among those that share a run, as torchrun and accelerate number them."""

    rank: int
    world: int

    @classmethod
    def current(cls) -> Process:
        """This one, as torchrun and accelerate launch tell it."""
        return cls(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))


@dataclass(frozen=True)
class Outcome:
    """What a run gave.

    Attributes:
        results: one dictionary a row (``videoalign score --json``), or None while other processes have rows left.
        failed: rows without scores: of all, or of this process while ``results`` is None.
    """

    results: list[dict] | None
    failed: int


def judge_options(options: ScoringOptions, max_pixels: int | None = None) -> JudgeOptions:
    """How ``options`` want a judge opened; this process's own GPU where they name no device.

    Args:
        max_pixels: a benchmark's largest frame.
    """
    from ...backbones.devices import chosen_device

    return JudgeOptions(
        device=str(chosen_device(options.device)),
        dtype=options.dtype,
        weights=options.weights,
        download=options.download,
        base=options.base,
        step=options.step,
        sampling=options.sampling.model_dump(exclude_none=True),
        max_pixels=max_pixels,
    )


def run_settings(judge: Judge) -> dict:
    """What the scores depend on besides the rows, for the journal."""
    return {"judge": judge.name, **judge.identity()}


def score_rows(
    judge: Judge,
    rows: list[ScoreRow],
    options: ScoringOptions,
    process: Process,
    journal: ScoreJournal | None,
    report: Callable[[dict], None] | None = None,
) -> Outcome:
    """Score this process's share of ``rows``; with a journal, go on where an earlier run was and write the output.

    Args:
        report: called with each result of this process as it comes, those of an earlier run first.
    """
    from tqdm import tqdm

    rank, world = process.rank, process.world
    done = journal.finished(rows) if journal else {}
    mine = [row for batch in share_of_rank(rows, options.batch_size, rank, world) for clip in batch for row in clip]
    left = share_of_rank(rows, options.batch_size, rank, world, done)
    if done:
        print(f"{len(done)} of {len(rows)} rows are done already.", file=sys.stderr)
    already = [row for row in mine if row.id in done]
    if report:
        for row in already:
            report(done[row.id])
    results, failed = [], 0
    quiet = None if world == 1 else rank > 0
    with tqdm(total=len(mine), initial=len(already), unit="row", file=sys.stderr, disable=quiet) as bar:
        for row, result in _results(judge, [clip for batch in left for clip in batch], options):
            if row.id in done:  # kept its batch company
                continue
            failed += "error" in result
            results.append(result)
            if report:
                report(result)
            if journal:
                journal.add(row, result)
            bar.update()
    if journal:
        written = journal.write_output(rows)
        if written is None:
            return Outcome(None, failed)
        results = written
    return Outcome(results, sum("error" in result for result in results))


def leave_to_the_last(process: Process, failed: int) -> int:
    """Exit status of a process that is done while others are not; the last one writes the output and tells of failures.

    torchrun and accelerate end all processes as soon as one exits with a failure, so under them it is kept for the last.
    """
    print(
        f"Process {process.rank} of {process.world} is done ({failed} rows failed); the last one writes the output.",
        file=sys.stderr,
    )
    return 1 if failed and "TORCHELASTIC_RUN_ID" not in os.environ else 0


def _results(judge: Judge, clips: list[ClipRows], options: ScoringOptions) -> Iterator[tuple[ScoreRow, dict]]:
    """Score clips in order, ``batch_size`` at a time; the rows of a clip share one reading of it."""
    from ...reward.scoring_stream import Request, score_stream

    requests = (Request(rows[0].path, tuple(row.prompt for row in rows), rows[0].fps, rows) for rows in clips)
    for request, outcome in score_stream(judge, requests, options.batch_size, options.decode_threads):
        failed = isinstance(outcome, VideoAlignError)
        if failed and len(request.key) > 1:  # find the captions that are to blame
            for row in request.key:
                yield from _results(judge, [[row]], options)
            continue
        for position, row in enumerate(request.key):
            answer = {"error": str(outcome)} if failed else outcome[position].to_dict()
            said_by = {} if failed else {"judge": judge.name}
            yield row, {"id": row.id, "path": path_text(row.path), "prompt": row.prompt, **answer, **said_by}
