"""What scoring takes: a clip's pass counted on the model at its real size, and what reading clips takes here."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from ...errors import ClipError, VideoAlignError
from ...judges import judge_or_reward, open_judge
from ...planning.cards import Card
from ...planning.counting import Count, with_between, without_content
from ...planning.report import flop
from ...planning.run_plan import Part, RunPlan, Way
from ...reward.clip import PreparedClip
from ...reward.scoring_stream import accelerator_threads, clips_ahead
from ...reward.video_reward import VideoReward
from .score_batches import ClipRows, batches
from .score_rows import ScoreRow

if TYPE_CHECKING:
    from ..score_command import Config

_MOST_A_SECOND = 1000  # a pass of less than a millisecond is not arithmetic, but the starting of kernels
LOOKED_AT = 4
"""Clips that are read, evenly spread over the rows."""


@dataclass(frozen=True)
class _Looked:
    """A clip that was read, and its pass.

    Attributes:
        clip: as the model sees it.
        reading: CPU seconds for decoding, resizing and cutting it.
        operations: of its pass, with its captions.
        activations: most bytes beside weights and patches.
    """

    clip: PreparedClip
    reading: float
    operations: int
    activations: int


def plan_score(config: Config, rows: list[ScoreRow]) -> RunPlan:
    """Read some clips, and count a pass of each. Nothing is scored or written.

    Raises:
        VideoAlignError: no clip can be read, the model cannot be used, or the judge is another one.
    """
    reward = _without_content(config)
    clips = [clip for batch in batches(rows, 1) for clip in batch]
    looked_at = _look(reward, clips[:: max(1, len(clips) // LOOKED_AT)][:LOOKED_AT], config)
    largest = max(looked_at, key=lambda one: one.clip.video_tokens)
    mean = statistics.fmean(one.operations for one in looked_at)
    reading = statistics.fmean(one.reading for one in looked_at)
    weights = sum(tensor.nbytes for tensor in (*reward.network.parameters(), *reward.network.buffers()))
    height, width = largest.clip.size
    captions = max(len(clip) for clip in clips)
    threads = accelerator_threads() if config.decode_threads is None else config.decode_threads
    waiting = config.batch_size + clips_ahead(config.batch_size, threads)
    patches = largest.clip.patches.numel() * reward.dtype.itemsize
    return RunPlan(
        head=(
            f"{len(rows)} rows of {len(clips)} readings of a clip, with {'one caption' if captions == 1 else f'up to {captions} captions'} each.",
            f"The largest of {len(looked_at)} clips that were read: {len(largest.clip.indices)} frames of {width}x{height}, "
            f"{largest.clip.video_tokens} tokens.",
        ),
        at_once="one clip at a time",
        parts=(
            Part("weights", weights, f"counted; {str(reward.dtype).removeprefix('torch.')}"),
            Part("activations", largest.activations, "counted on a CPU's operations"),
            Part("clips that wait", waiting * patches, f"counted; up to {waiting}"),
        ),
        operations=len(clips) * mean,
        operations_said=(
            f"Operations: {flop(mean)} a clip (counted), {flop(len(clips) * mean)} in all.",
            f"Reading a clip takes {reading:.2f} CPU seconds on this machine (measured on {len(looked_at)}; decoding, resizing, cutting).",
        ),
        ways=lambda: _ways(reward.dtype, weights, largest.activations, waiting * patches),
        smaller=lambda _room: "clips of fewer or smaller frames may (sampling.fps, sampling.max_pixels)",
        said_of=lambda card: _pace(card, mean, reading),
    )


def _ways(dtype: torch.dtype, *sizes: float) -> list[Way]:
    return [Way("dtype = bfloat16", with_between(sum(sizes) / 2))] if dtype == torch.float32 else []


def _pace(card: Card, operations: float, reading: float) -> str:
    """How many clips a card scores in a second, and what it takes to bring them."""
    pace = 1 / card.seconds(operations)
    if pace > _MOST_A_SECOND:
        return "; as fast as clips can be read"
    cores = math.ceil(pace * reading)
    return f"; {pace:.3g} clips a second, which {cores} core{'s' if cores > 1 else ''} like these can read"


def _without_content(config: Config) -> VideoReward:
    """The model as it would score on an accelerator, on the meta device."""
    if config.model is None and [judge_or_reward(judge).partition(":")[0] for judge in config.judge] != ["videoreward"]:
        raise VideoAlignError(
            "Only a VideoReward's scoring is counted: give --model, or one --judge videoreward:SOURCE."
        )
    from .scoring_run import judge_options

    options = replace(judge_options(config.model_copy(update={"device": "cpu", "compile": False})), device="meta")
    (source,) = config.judge or [f"videoreward:{config.model}"]
    reward = open_judge(judge_or_reward(source), options)
    assert isinstance(reward, VideoReward)
    return reward


def _look(reward: VideoReward, clips: Sequence[ClipRows], config: Config) -> list[_Looked]:
    read, refused = [], None
    for rows in clips:
        try:
            if not read:  # what a process does once is no part of the pace
                reward.prepare(rows[0].path, rows[0].fps)
            began = time.process_time()
            clip = reward.prepare(rows[0].path, rows[0].fps)
        except ClipError as error:
            refused = error
            continue
        read.append((clip, time.process_time() - began, [row.prompt for row in rows]))
    if not read:
        raise refused or ClipError("There is no clip to look at.")
    return _count(reward, read)


def _count(reward: VideoReward, read: Sequence[tuple[PreparedClip, float, list[str | None]]]) -> list[_Looked]:
    from torch._subclasses.fake_tensor import FakeTensorMode

    looked_at = []
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        without_content(reward.network)
        reward.network.set_rotary_precision(reward.dtype, "cpu")
        for clip, seconds, captions in read:
            empty = replace(clip, patches=torch.empty(clip.patches.shape))
            held = [*reward.network.parameters(), *reward.network.buffers(), empty.patches]
            with Count(held) as count:
                reward.read(empty, captions)
            looked_at.append(_Looked(empty, seconds, count.operations, count.peak))
    return looked_at
