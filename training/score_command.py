"""``videoalign score``: clips in, a table, CSV or JSON out."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from .config import CommandConfig, positional
from .score_journal import ScoreJournal
from .score_rows import ScoreRow, rows_from_inputs, rows_from_manifest
from .score_table import score_table

LONG_TABLE = 60


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


class Config(CommandConfig):
    """Score clips with a video reward model.

    Clips are files, folders or glob patterns, each scored against every --prompt; or the rows of a --manifest
    (CSV or JSONL with path, and optionally id, prompt and fps; paths relative to the manifest). A row that fails
    carries an error, the others go on, and the exit status is 1. Several processes (accelerate launch, torchrun)
    share the rows when --output is given; a run that was stopped goes on where it was.
    """

    clips: list[str] = positional(default=[], description="Files, folders or glob patterns.")
    model: str = Field(
        description="Converted file, checkpoint folder, name in ComfyUI's models/reward_models, or hub repository."
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
    base: Path | None = Field(None, description="Folder of the base model of an official checkpoint.")
    step: int | None = Field(None, description="Which checkpoint-N of an official checkpoint; the highest by default.")
    download: bool = Field(False, description="Permit downloading from the hub.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Arithmetic; auto: the checkpoint's own."
    )
    device: str | None = Field(None, description="For example cuda:1 or cpu; the process's own GPU by default.")
    batch_size: int = Field(4, ge=1, description="Clips decoded ahead and, where alike in length, scored together.")
    decode_threads: int = Field(2, ge=0, description="Threads that decode while the model works; 0: none.")
    sampling: SamplingOverrides = SamplingOverrides()

    @model_validator(mode="after")
    def _one_kind_of_input(self) -> Config:
        if bool(self.clips) == (self.manifest is not None):
            raise ValueError("give either clips or --manifest")
        if self.manifest is not None and (self.prompt or self.captions_from_txt):
            raise ValueError("captions come from the manifest; leave --prompt and --captions-from-txt out")
        if self.prompt and self.captions_from_txt:
            raise ValueError("--prompt and --captions-from-txt exclude each other")
        return self


def run(config: Config) -> int:
    """Score; returns 0 when every row succeeded, 1 when some failed, 130 when interrupted."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if config.manifest is not None:
        rows = rows_from_manifest(config.manifest)
    else:
        rows = rows_from_inputs(config.clips, config.prompt, config.captions_from_txt)
    if config.fps is not None:
        rows = [replace(row, fps=row.fps or config.fps) for row in rows]
    model = _load(config, rank)
    journal = None
    if config.output is not None:
        journal = ScoreJournal(config.output, _run_settings(model), rank, world, config.overwrite)
    try:
        return _score_rows(config, model, rows, journal, rank, world)
    except KeyboardInterrupt:
        hint = " Run the same command again to go on." if journal else ""
        print(f"videoalign score: interrupted.{hint}", file=sys.stderr)
        return 130
    finally:
        if journal:
            journal.close()


def _load(config: Config, rank: int):
    import torch

    from ..reward.loading import DTYPES, load_video_reward

    device = config.device
    if device is None and torch.cuda.is_available():
        device = f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count()}"
    model = load_video_reward(
        config.model,
        base=config.base,
        step=config.step,
        dtype=DTYPES.get(config.dtype),
        device=device,
        allow_download=config.download,
    )
    overrides = config.sampling.model_dump(exclude_none=True)
    if overrides:
        sampling = replace(model.settings.sampling, **({"num_frames": None} if "fps" in overrides else {}), **overrides)
        model.settings = replace(model.settings, sampling=sampling)
    return model


def _run_settings(model) -> dict:
    """What the scores depend on besides the rows; the fingerprint is of weights that every training changes."""
    digest = hashlib.sha256(model.network.rm_head.weight.detach().float().cpu().numpy().tobytes())
    reward_rows = model.network.language_model.embed_tokens.weight[model.tokenizer.reward_token_ids]
    digest.update(reward_rows.detach().float().cpu().numpy().tobytes())
    digest.update(model.network.visual.patch_embed.proj.weight.detach().float().cpu().numpy().tobytes())
    return {
        "model": digest.hexdigest()[:16],
        "dtype": str(model.dtype).removeprefix("torch."),
        "sampling": asdict(model.settings.sampling),
    }


def _score_rows(
    config: Config, model, rows: list[ScoreRow], journal: ScoreJournal | None, rank: int, world: int
) -> int:
    from tqdm import tqdm

    done = journal.finished(rows) if journal else {}
    mine = [row for position, row in enumerate(rows) if position % world == rank]
    left = [row for row in mine if row.id not in done]
    if done:
        print(f"{len(done)} of {len(rows)} rows are done already.", file=sys.stderr)
    if config.json_lines:
        for row in mine:
            if row.id in done:
                _print_json({key: value for key, value in done[row.id].items() if key != "fps_given"})
    results, failed = [], 0
    with tqdm(
        total=len(mine),
        initial=len(mine) - len(left),
        unit="row",
        file=sys.stderr,
        disable=None if world == 1 else rank > 0,
    ) as bar:
        for row, result in _results(config, model, left):
            failed += "error" in result
            results.append(result)
            if journal:
                journal.add(row, result)
            if config.json_lines:
                _print_json(result)
            bar.update()
    if journal:
        written = journal.write_output(rows)
        if written is None:
            return 1 if failed else 0  # another process writes the output when the last row is in
        results = written
        print(f"{len(results)} rows in {config.output}.", file=sys.stderr)
    if not config.json_lines:
        print(score_table(results) if len(results) <= LONG_TABLE or not journal else _summary(results))
    failed = sum("error" in result for result in results)
    if failed:
        print(f"videoalign score: {failed} of {len(results)} rows failed.", file=sys.stderr)
    return 1 if failed else 0


def _results(config: Config, model, rows: list[ScoreRow]) -> Iterator[tuple[ScoreRow, dict]]:
    """Score rows in order; neighbours that share a clip share its forward pass."""
    from ..reward.errors import VideoAlignError
    from ..reward.scoring_stream import Request, score_stream

    groups: list[list[ScoreRow]] = []
    for row in rows:
        shares = (
            groups
            and (groups[-1][0].path, groups[-1][0].fps) == (row.path, row.fps)
            and None not in (row.prompt, groups[-1][0].prompt)
        )
        if shares:
            groups[-1].append(row)
        else:
            groups.append([row])
    requests = (Request(group[0].path, tuple(row.prompt for row in group), group[0].fps, group) for group in groups)
    for request, outcome in score_stream(model, requests, config.batch_size, config.decode_threads):
        failed = isinstance(outcome, VideoAlignError)
        if failed and len(request.key) > 1:  # find the captions that are to blame
            for row in request.key:
                yield from _results(config, model, [row])
            continue
        for position, row in enumerate(request.key):
            answer = {"error": str(outcome)} if failed else outcome[position].to_dict()
            yield row, {"id": row.id, "path": str(row.path), "prompt": row.prompt, **answer}


def _print_json(result: dict) -> None:
    print(json.dumps(result, ensure_ascii=False), flush=True)


def _summary(results: list[dict]) -> str:
    lines = []
    for name in ("VQ", "MQ", "TA", "Overall"):
        values = [result[name] for result in results if result.get(name) is not None]
        if values:
            lines.append(
                f"{name:>8}: mean {sum(values) / len(values):+.3f}, lowest {min(values):+.3f}, highest {max(values):+.3f}"
            )
    return "\n".join(lines)
