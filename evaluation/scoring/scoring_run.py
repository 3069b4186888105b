"""A scoring run: rows through a judge, resumable and shared by several processes.

What every command that scores clips has in common: the options, what a run depends on, and the loop that takes finished
rows from a journal (`score_journal`) and adds the new ones.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from ...cli.options import CommandConfig
from ...errors import VideoAlignError
from ...files.claims import Claims, in_turn
from ...files.digests import json_digest
from ...files.portable_paths import path_text
from ...judges import JudgeOptions, parse_judge
from .score_batches import ClipRows, left_batches
from .score_journal import ScoreJournal, is_whole
from .score_rows import ScoreRow

if TYPE_CHECKING:
    from tqdm import tqdm

    from ...reward.judge import Judge, Marks


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
        "auto",
        description="Arithmetic; auto: the checkpoint's own, but of a VideoReward float32 on a CPU without bfloat16 instructions.",
    )
    weights: Literal["auto", "8bit", "4bit"] = Field("auto", description="Keep a large judge's weights in fewer bits.")
    device: str | None = Field(
        None, description="Such as cuda:1, xpu, mps or cpu; the process's own accelerator by default."
    )
    batch_size: int = Field(
        4, ge=1, description="Clips decoded ahead; some judges score those of like length together."
    )
    decode_threads: int | None = Field(
        None,
        ge=0,
        description="Threads that decode while the model works; 0: none. By default 2 beside a CPU's model, and beside a GPU's one for each core but one, at most 16.",
    )
    compile: bool = Field(
        False,
        description="Have torch.compile make a VideoReward's kernels: for many clips on a GPU; the first takes a minute longer.",
    )
    sampling: SamplingOverrides = SamplingOverrides()


def named_judges(value: object) -> object:
    """Judges of an option or a file: a list of NAME or NAME:SOURCE; a single text or nothing is what 0.1.0 had.

    Raises:
        JudgeError: there is no such judge.
    """
    value = [] if value is None else [value] if isinstance(value, str) else value
    if isinstance(value, list) and all(isinstance(text, str) for text in value):  # else for pydantic to refuse
        for text in value:
            parse_judge(text)
    return value


def further_judges(value: object) -> object:
    """``named_judges`` beside a first one; "none" is how 0.1.0 said that there is none.

    Raises:
        JudgeError: there is no such judge.
    """
    if value == "none":
        return []
    return named_judges([text for text in value if text != "none"] if isinstance(value, list) else value)


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
        failed: rows without scores, or without those of one of several judges: of all, or of this process while ``results`` is None.
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
        compile=options.compile,
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
    """Score what is left of ``rows``; with a journal, together with the other processes that use it, and write the output.

    Args:
        report: called with each result of this process as it comes, those of an earlier run first.
    """
    results, failed = [], 0
    with nullcontext() if journal is None else Claims(journal.folder) as claims:
        done = journal.finished(rows) if journal else {}
        left = left_batches(rows, options.batch_size, done)
        if done:
            print(f"{len(done)} of {len(rows)} rows are done already.", file=sys.stderr)
        for row in rows if report and process.rank == 0 else ():
            if row.id in done:
                report(done[row.id])
        with progress(len(rows), len(done), process) as bar:
            for row, answer in shared_answers(judge, left, options, claims):
                if row.id in done:  # kept its batch company
                    continue
                result = row_result(row, answer, judge.name)
                failed += not is_whole(result)
                results.append(result)
                if report:
                    report(result)
                if journal:
                    journal.add(row, result)
                bar.update()
        if journal is None:
            return outcome_of(results, failed)
        return outcome_of(journal.write_output(rows) if claims.leave() else None, failed)


def shared_answers(
    judge: Judge, left: list[list[ClipRows]], options: ScoringOptions, claims: Claims | None
) -> Iterator[tuple[ScoreRow, Marks | VideoAlignError]]:
    """``answers`` of the batches that this process takes, one after another, from those that are left.

    A batch is finished for the others when the answer after its last one is asked for: then its rows are in the journal.
    """
    if claims is None:
        yield from answers(judge, (clip for batch in left for clip in batch), options)
        return
    pieces = {json_digest([row.id for clip in batch for row in clip]): batch for batch in left}
    names = list(pieces)
    for stream in in_turn(claims, names):
        waiting: deque[tuple[str, int]] = deque()

        def taken(stream: Iterator[str] = stream, waiting: deque = waiting) -> Iterator[ClipRows]:
            for name in stream:
                waiting.append((name, sum(map(len, pieces[name]))))
                yield from pieces[name]

        for answer in answers(judge, taken(), options):
            yield answer
            name, rows = waiting.popleft()
            if rows == 1:
                claims.finish(name)
            else:
                waiting.appendleft((name, rows - 1))


def outcome_of(results: list[dict] | None, failed: int) -> Outcome:
    """Of all rows, or of this process, which had ``failed`` rows, while others have rows left."""
    return Outcome(results, failed if results is None else sum(not is_whole(result) for result in results))


def progress(rows: int, done: int, process: Process) -> tqdm:
    """The bar of a run: of the first process alone where there are several."""
    from tqdm import tqdm

    quiet = None if process.world == 1 else process.rank > 0
    return tqdm(total=rows, initial=done, unit="row", file=sys.stderr, disable=quiet)


def leave_to_the_last(process: Process, failed: int) -> int:
    """Exit status of a process that is done while others are not; the last one writes the output and tells of failures.

    torchrun and accelerate end all processes as soon as one exits with a failure, so under them it is kept for the last.
    """
    which = f"Process {process.rank} of {process.world}" if process.world > 1 else "This process"
    print(f"{which} is done ({failed} rows failed); the last one writes the output.", file=sys.stderr)
    return 1 if failed and "TORCHELASTIC_RUN_ID" not in os.environ else 0


def answers(
    judge: Judge, clips: Iterable[ClipRows], options: ScoringOptions
) -> Iterator[tuple[ScoreRow, Marks | VideoAlignError]]:
    """Score clips in order, ``batch_size`` at a time; the rows of a clip share one reading of it."""
    from ...reward.scoring_stream import Request, score_stream

    requests = (Request(rows[0].path, tuple(row.prompt for row in rows), rows[0].fps, rows) for rows in clips)
    for request, outcome in score_stream(judge, requests, options.batch_size, options.decode_threads):
        rows: ClipRows = request.key
        if not isinstance(outcome, VideoAlignError):
            yield from zip(rows, outcome, strict=True)
        elif len(rows) > 1:  # find the captions that are to blame
            for row in rows:
                yield from answers(judge, [[row]], options)
        else:
            yield rows[0], outcome


def row_result(row: ScoreRow, answer: Marks | VideoAlignError, judge: str) -> dict:
    """A row of a score file, as ``videoalign score --json`` prints it; ``judge``: the name of who answers."""
    about = {"id": row.id, "path": path_text(row.path), "prompt": row.prompt}
    if isinstance(answer, VideoAlignError):
        causes = {name: str(cause) for name, cause in getattr(answer, "causes", {}).items()}
        return {**about, "error": str(answer), **({"errors": causes} if causes else {})}
    return {**about, **answer.to_dict(), "judge": judge}
