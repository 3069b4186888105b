"""Clips per second of ``score_stream`` against the plain way, in one run with one model, and where the time goes.

    python benchmarks/score_clips.py --size tiny
    python benchmarks/score_clips.py --size 2b --clips 2 --repeats 1 --dtype float32

``tiny`` is the shipped random checkpoint (float32), ``2b`` a model of Qwen2-VL-2B's size with random weights (bfloat16 unless
told otherwise; a processor without bfloat16 instructions is several times faster in float32).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from plain_scoring import score_plainly
from results_section import Section, benchmark_parser
from synthetic_checkpoint import SHIPPED_TINY, random_video_reward
from timing import COLUMNS, Times, interleaved

from videoalign.reward.loading import load_video_reward
from videoalign.reward.scoring_stream import Request, score_stream
from videoalign.reward.video_reward import VideoReward

HEADINGS = {"tiny": "Scoring, tiny model", "2b": "Scoring, 2B size"}
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


def stream(model: VideoReward, clips: list[Path], captions: list[str], **options: int) -> list[list[float]]:
    """Raw scores of clips, each against all captions, our way."""
    rows = []
    for _, result in score_stream(model, [Request(clip, tuple(captions)) for clip in clips], **options):
        if isinstance(result, Exception):
            raise result
        rows += [list(scores.raw.values()) for scores in result]
    return rows


def against_the_plain_way(section: Section, model: VideoReward, clips: list[Path], repeats: int) -> None:
    """Clips per second, one caption each, and the largest difference between the two ways' scores."""
    scores: dict[str, list] = {}

    def ours() -> None:
        scores["ours"] = stream(model, clips, CAPTIONS[:1])

    def plain() -> None:
        scores["plain"] = [score_plainly(model, clip, CAPTIONS[0]) for clip in clips]

    times = interleaved(repeats, {"ours": ours, "the plain way": plain})
    for name, taken in times.items():
        section.row(f"{len(clips)} mixed clips, {name}", *taken.cells())
    ratio(section, "plain / ours", times["the plain way"], times["ours"])
    rates = [f"{name} {len(clips) / taken.clock.fastest:.3f}" for name, taken in times.items()]
    difference = (torch.tensor(scores["ours"]) - torch.tensor(scores["plain"])).abs().max()
    section.note(f"Clips a second by the clock: {', '.join(rates)}; raw scores differ by at most {difference:.2g}.")


def many_captions(section: Section, model: VideoReward, clip: Path, repeats: int, plainly: bool) -> None:
    """Eight captions of one clip against one."""
    one, eight = f"1 caption of {clip.stem}", "8 captions of it"
    work = {one: lambda: stream(model, [clip], CAPTIONS[:1]), eight: lambda: stream(model, [clip], CAPTIONS)}
    times = interleaved(repeats, work)
    section.table("", *COLUMNS)
    for name, taken in times.items():
        section.row(name, *taken.cells())
    ratio(section, "8 captions / 1 caption (aim: at most 1.3)", times[eight], times[one])
    shares = times[eight].ratio(times[one])
    if plainly:
        plain = interleaved(repeats, {"plain": lambda: [score_plainly(model, clip, text) for text in CAPTIONS]})[
            "plain"
        ]
        section.row("8 captions the plain way", *plain.cells())
        ratio(section, "8 captions the plain way / ours", plain, times[eight])
    section.aim("8 captions / 1 caption in CPU seconds", shares[0], at_most=1.3)
    section.aim("8 captions / 1 caption by the clock", shares[1], at_most=1.3)


def batch_against_singles(section: Section, model: VideoReward, clips: list[Path], repeats: int) -> None:
    """One batch of mixed clips against the sum of its clips scored alone; clips are decoded in the same thread."""
    batch, singles = f"a batch of {len(clips)} mixed clips", "the sum of its singles"
    work = {
        batch: lambda: stream(model, clips, CAPTIONS[:1], batch_size=len(clips), decode_threads=0),
        singles: lambda: [stream(model, [clip], CAPTIONS[:1], decode_threads=0) for clip in clips],
    }
    times = interleaved(repeats, work)
    section.table("", *COLUMNS)
    for name, taken in times.items():
        section.row(name, *taken.cells())
    ratio(section, "batch / singles (aim: at most 1)", times[batch], times[singles])
    section.aim("batch / singles in CPU seconds", times[batch].ratio(times[singles])[0], at_most=1.0)


def decoding(section: Section, model: VideoReward, clips: list[Path], batch_size: int) -> None:
    """How much of the time is decoding, and how much of it happens while the model works."""
    decode, forward = Intervals(model.prepare), Intervals(model.score_prepared)
    model.prepare, model.score_prepared = decode, forward
    try:
        start = time.perf_counter()
        stream(model, clips, CAPTIONS[:1], batch_size=batch_size)
        wall = time.perf_counter() - start
    finally:
        del model.prepare, model.score_prepared
    alone = interleaved(1, {"alone": lambda: [decode.function(clip) for clip in clips]})["alone"]
    until_first = forward.spans[0][0] - start
    section.table("", *COLUMNS)
    section.row(f"decoding and resizing {len(clips)} clips alone", *alone.cells())
    share = alone.clock.fastest / (alone.clock.fastest + forward.seconds)
    section.note(f"Decoding and resizing: {100 * share:.1f} % of decoding + forward passes, by the clock.")
    section.note(
        f"In a run of {wall:.2f} s the first batch of {batch_size} is ready after {until_first:.2f} s; "
        f"{100 * decode.within(forward) / decode.seconds:.0f} % of all decoding happens during a forward pass, and after "
        f"the first batch the model waits {wall - until_first - forward.seconds:.2f} s in all."
    )


def ratio(section: Section, name: str, first: Times, second: Times) -> None:
    """A row with the ratio of the fastest runs."""
    cpu, clock = first.ratio(second)
    section.row(name, cpu, "", "", clock, "", "")


def main() -> None:
    """Measure everything and print the section."""
    parser = benchmark_parser(__doc__, repeats=3)
    parser.add_argument("--size", choices=["tiny", "2b"], default="tiny")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--dtype", choices=["float32", "bfloat16", "float16"], help="float32 for tiny, bfloat16 for 2b."
    )
    parser.add_argument("--clips", type=int, default=len(MIXED), help="How many of the mixed clips.")
    parser.add_argument("--caption-clip", default="s12_23.976fps_71f_256x144", help="The clip of the 8 captions.")
    options = parser.parse_args()
    dtype = getattr(torch, options.dtype or ("float32" if options.size == "tiny" else "bfloat16"))
    clips = [CLIPS / f"{name}.mp4" for name in MIXED[: options.clips]]
    with Section(HEADINGS[options.size], options, libraries=("torch", "transformers", "av")) as section:
        section.paragraph(f"Size {options.size}, {dtype}, {options.device}. Ratios are of the fastest runs.")
        if options.size == "tiny":
            model = load_video_reward(SHIPPED_TINY, dtype=dtype, device=options.device)
            stream(model, clips[:1], CAPTIONS[:1])  # warm up; next to minutes a clip it does not matter
        else:
            model = random_video_reward(dtype, options.device)
        section.table("", *COLUMNS)
        against_the_plain_way(section, model, clips, options.repeats)
        caption_clip = CLIPS / f"{options.caption_clip}.mp4"
        many_captions(section, model, caption_clip, options.repeats, plainly=options.size == "tiny")
        batch_against_singles(section, model, clips[:4], options.repeats)
        decoding(section, model, clips, batch_size=2 if len(clips) > 3 else 1)


if __name__ == "__main__":
    main()
