"""Clips per second of ``score_stream`` against the plain way, in one run with one model, and where the time goes.

    python benchmarks/score_clips.py --size tiny
    python benchmarks/score_clips.py --size 2b --clips 2 --repeats 1 --dtype float32

``tiny`` is the shipped random checkpoint (float32), ``2b`` a model of Qwen2-VL-2B's size with random weights (bfloat16 unless
told otherwise; a processor without bfloat16 instructions is several times faster in float32).
"""

from __future__ import annotations

import argparse
import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import torch
import transformers
from plain_scoring import score_plainly
from synthetic_checkpoint import SHIPPED_TINY, random_video_reward

from videoalign.reward.loading import load_video_reward
from videoalign.reward.scoring_stream import Request, score_stream
from videoalign.reward.video_reward import VideoReward

CLIPS = Path(__file__).resolve().parent.parent / "tests" / "data" / "videoreward" / "clips"
# From short to long, in mixed sizes and lengths; the first few are taken.
MIXED = (
    "s05_10fps_3f_96x64",
    "s12_23.976fps_71f_256x144",
    "s06_10fps_4f_96x64",
    "s02_8fps_16f_320x240",
    "s01_24fps_48f_128x128",
    "s03_30fps_61f_426x240",
    "s17_mpeg4_15fps_33f_352x288",
    "s22_16fps_33f_832x480",
    "s23_24fps_121f_704x480",
    "s18_60fps_30f_480x272",
)
ANIMALS = ("dog", "cat", "horse", "fox", "crab", "child", "robot", "bear")
CAPTIONS = [f"A {animal} runs along the beach at sunset, waves in the background." for animal in ANIMALS]


class Intervals:
    """When a function ran, over all threads."""

    def __init__(self, function: Callable) -> None:
        self.function = function
        self.spans: list[tuple[float, float]] = []

    def __call__(self, *arguments: object, **options: object) -> object:
        start = time.perf_counter()
        try:
            return self.function(*arguments, **options)
        finally:
            self.spans.append((start, time.perf_counter()))

    @property
    def seconds(self) -> float:
        return sum(end - start for start, end in self.spans)

    def within(self, other: Intervals) -> float:
        """Seconds of these spans that lie inside spans of ``other``."""
        return sum(max(0.0, min(a[1], b[1]) - max(a[0], b[0])) for a in self.spans for b in other.spans)


@dataclass
class Timing:
    """The fastest of several runs, in seconds: by the clock, and of processor time over all threads."""

    wall: float = math.inf
    cpu: float = math.inf

    def __str__(self) -> str:
        return f"{self.wall:.2f} s ({self.cpu:.2f} s of CPU)"

    def __truediv__(self, other: Timing) -> str:
        return f"{self.wall / other.wall:.2f} times by the clock, {self.cpu / other.cpu:.2f} in CPU time"


def race(repeats: int, *functions: Callable[[], object]) -> list[Timing]:
    """Run the functions in turn, ``repeats`` rounds: whatever else the machine does then hits all of them alike."""
    timings = [Timing() for _ in functions]
    for _ in range(repeats):
        for timing, function in zip(timings, functions, strict=True):
            wall, cpu = time.perf_counter(), time.process_time()
            function()
            timing.wall = min(timing.wall, time.perf_counter() - wall)
            timing.cpu = min(timing.cpu, time.process_time() - cpu)
    return timings


def stream(model: VideoReward, clips: list[Path], captions: list[str], **options: int) -> list[list[float]]:
    """Raw scores of clips, each against all captions, our way."""
    rows = []
    for _, result in score_stream(model, [Request(clip, tuple(captions)) for clip in clips], **options):
        if isinstance(result, Exception):
            raise result
        rows += [list(scores.raw.values()) for scores in result]
    return rows


def against_the_plain_way(model: VideoReward, clips: list[Path], repeats: int) -> None:
    """Clips per second, one caption each, and the largest difference between the two ways' scores."""
    scores: dict[str, list] = {}

    def ours() -> None:
        scores["ours"] = stream(model, clips, CAPTIONS[:1])

    def plain() -> None:
        scores["plain"] = [score_plainly(model, clip, CAPTIONS[0]) for clip in clips]

    first, second = race(repeats, ours, plain)
    difference = (torch.tensor(scores["ours"]) - torch.tensor(scores["plain"])).abs().max()
    count = len(clips)
    print(
        f"{count} mixed clips: ours {first}, {count / first.wall:.3f} clips/s; plain {second}, {count / second.wall:.3f} clips/s; "
        f"plain takes {second / first}; raw scores differ by at most {difference:.2g}",
        flush=True,
    )


def many_captions(model: VideoReward, clip: Path, repeats: int, plainly: bool) -> None:
    """Eight captions of one clip against one."""
    one, eight = race(repeats, lambda: stream(model, [clip], CAPTIONS[:1]), lambda: stream(model, [clip], CAPTIONS))
    print(f"8 captions of {clip.stem}: {eight}; 1 caption: {one}; {eight / one} (aim: at most 1.3)", flush=True)
    if plainly:
        (plain,) = race(repeats, lambda: [score_plainly(model, clip, caption) for caption in CAPTIONS])
        print(f"the same 8 captions the plain way: {plain}; {plain / eight} ours", flush=True)


def batch_against_singles(model: VideoReward, clips: list[Path], repeats: int) -> None:
    """One batch of mixed clips against the sum of its clips scored alone; clips are decoded in the same thread."""
    batch, singles = race(
        repeats,
        lambda: stream(model, clips, CAPTIONS[:1], batch_size=len(clips), decode_threads=0),
        lambda: [stream(model, [clip], CAPTIONS[:1], decode_threads=0) for clip in clips],
    )
    text = f"a batch of {len(clips)} mixed clips: {batch}; the sum of its singles: {singles}; {batch / singles}"
    print(f"{text} (aim: at most 1)", flush=True)


def decoding(model: VideoReward, clips: list[Path], batch_size: int) -> None:
    """How much of the time is decoding, and how much of it happens while the model works."""
    decode, forward = Intervals(model.prepare), Intervals(model.score_prepared)
    model.prepare, model.score_prepared = decode, forward
    try:
        start = time.perf_counter()
        stream(model, clips, CAPTIONS[:1], batch_size=batch_size)
        wall = time.perf_counter() - start
    finally:
        del model.prepare, model.score_prepared
    (alone,) = race(1, lambda: [decode.function(clip) for clip in clips])
    until_first = forward.spans[0][0] - start
    print(
        f"decoding and resizing {len(clips)} clips alone: {alone}; {100 * alone.wall / (alone.wall + forward.seconds):.1f} % of "
        f"decoding plus forward passes. In a run of {wall:.2f} s the first batch of {batch_size} is ready after {until_first:.2f} s; "
        f"{100 * decode.within(forward) / decode.seconds:.0f} % of all decoding happens during a forward pass, and after "
        f"the first batch the model waits {wall - until_first - forward.seconds:.2f} s in all",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=["tiny", "2b"], default="tiny")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--dtype", choices=["float32", "bfloat16", "float16"], help="float32 for tiny, bfloat16 for 2b."
    )
    parser.add_argument("--clips", type=int, default=len(MIXED), help="How many of the mixed clips.")
    parser.add_argument("--caption-clip", default="s12_23.976fps_71f_256x144", help="The clip of the 8 captions.")
    parser.add_argument("--repeats", type=int, default=3, help="Repeat each measurement; the fastest counts.")
    arguments = parser.parse_args()
    dtype = getattr(torch, arguments.dtype or ("float32" if arguments.size == "tiny" else "bfloat16"))
    if arguments.size == "tiny":
        model = load_video_reward(SHIPPED_TINY, dtype=dtype, device=arguments.device)
    else:
        model = random_video_reward(dtype, arguments.device)
    clips = [CLIPS / f"{name}.mp4" for name in MIXED[: arguments.clips]]
    print(
        f"{arguments.size}, {dtype}, {arguments.device}, {torch.get_num_threads()} threads; torch {torch.__version__}, "
        f"transformers {transformers.__version__}, PyAV {av.__version__}, Python {platform.python_version()}",
        flush=True,
    )
    if arguments.size == "tiny":
        stream(model, clips[:1], CAPTIONS[:1])  # warm up; next to minutes a clip it does not matter
    against_the_plain_way(model, clips, arguments.repeats)
    caption_clip = CLIPS / f"{arguments.caption_clip}.mp4"
    many_captions(model, caption_clip, arguments.repeats, plainly=arguments.size == "tiny")
    batch_against_singles(model, clips[:4], arguments.repeats)
    decoding(model, clips, batch_size=2 if len(clips) > 3 else 1)


if __name__ == "__main__":
    main()
