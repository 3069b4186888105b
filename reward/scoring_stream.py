"""Score any number of clips, decoding the next ones while the model works on the present ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from ..backbones.devices import own_cores
from ..clips.clip_fault import computing, reading
from ..clips.frames import must_be_read_alone
from ..errors import CaptionError, FileError, VideoAlignError
from .judge import Judge, Marks, Prepared

# Padding a batch to its longest clip must not cost more than this share of its length.
MAX_PADDING = 0.1
NO_LOCK = nullcontext()
MOST_THREADS = 16


@dataclass(frozen=True)
class Request:
    """One clip to score.

    Attributes:
        clip: anything that the judge's ``prepare`` takes.
        captions: what to score it against; (None,) for the marks that need none.
        fps: overrides the clip's own frame rate, in frames per second.
        key: given back with the result, untouched.
    """

    clip: object
    captions: tuple[str | None, ...] = (None,)
    fps: float | None = None
    key: object = None


def score_stream(
    judge: Judge, requests: Iterable[Request], batch_size: int = 4, decode_threads: int | None = None
) -> Iterator[tuple[Request, Sequence[Marks] | VideoAlignError]]:
    """Yield (request, marks for its captions or the error) in the order of the requests.

    Args:
        batch_size: clips decoded ahead and, where their lengths are alike, given to the judge together (``VideoReward`` reads each by itself all the same).
        decode_threads: threads that decode and resize; 0 decodes in the calling thread; ``threads_for(judge)`` by default.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be at least 1.")
    threads = threads_for(judge) if decode_threads is None else decode_threads
    ahead = clips_ahead(batch_size, threads)
    requests = iter(requests)
    locks: dict[int, Lock] = {}
    with ThreadPoolExecutor(max(threads, 1), thread_name_prefix="videoalign-decode") as pool:
        waiting: deque[tuple[Request, Future | None]] = deque()

        def lock_of(clip: object) -> AbstractContextManager:
            return locks.setdefault(id(clip), Lock()) if must_be_read_alone(clip) else NO_LOCK

        def refill() -> None:
            while len(waiting) < ahead:
                request = next(requests, None)
                if request is None:
                    return
                future = pool.submit(_prepare, judge, request, lock_of(request.clip)) if threads else None
                waiting.append((request, future))

        try:
            refill()
            while waiting:
                window = [waiting.popleft() for _ in range(min(batch_size, len(waiting)))]
                ready = [
                    (request, future.result() if future else _prepare(judge, request)) for request, future in window
                ]
                refill()  # the next window is decoded while this one is scored
                yield from score_ready(judge, ready)
        finally:
            for _, future in waiting:
                if future is not None:
                    future.cancel()


def clips_ahead(batch_size: int, threads: int) -> int:
    """Clips that are read while a window is scored: the next window, and work for every thread."""
    return batch_size + max(batch_size, threads)


def threads_for(judge: Judge) -> int:
    """Threads that decode for a judge: 2 beside a model on the CPU, whose products take all cores; else each core but one, at most ``MOST_THREADS``."""
    weights = (next(module.parameters(), None) for module in judge.modules)
    if any(weight is not None and weight.device.type != "cpu" for weight in weights):
        return accelerator_threads()
    return 2


def accelerator_threads() -> int:
    """``threads_for`` a judge on an accelerator."""
    return max(1, min(MOST_THREADS, own_cores() - 1))


def score_clips(
    judge: Judge, clips: Sequence[object], captions: Sequence[str | None], fps: float | None = None
) -> list[Marks]:
    """Marks of clips against one caption each.

    Args:
        clips: anything that the judge's ``prepare`` takes.
        captions: one for each clip, or None.
        fps: overrides the clips' own frame rate, in frames per second.

    Raises:
        ClipError, CaptionError: the first input that cannot be scored; nothing is returned for the others.
    """
    if len(clips) != len(captions):
        raise CaptionError(
            f"There are {len(clips)} clips and {len(captions)} captions; give one caption (or None) for each clip."
        )
    requests = [Request(clip, (caption,), fps) for clip, caption in zip(clips, captions, strict=True)]
    results: list[Marks] = []
    for _, result in score_stream(judge, requests):
        if isinstance(result, VideoAlignError):
            raise result
        results.extend(result)
    return results


def _prepare(judge: Judge, request: Request, lock: AbstractContextManager = NO_LOCK) -> Prepared | VideoAlignError:
    try:
        for caption in request.captions:
            judge.check_caption(caption)
        with lock, reading(_name(request)):
            return judge.prepare(request.clip, request.fps)
    except FileError:
        raise
    except VideoAlignError as error:
        return error


def _name(request: Request) -> str:
    return str(request.clip) if isinstance(request.clip, (str, Path)) else "The clip"


def score_ready(
    judge: Judge, ready: Sequence[tuple[Request, Prepared | VideoAlignError]]
) -> Iterator[tuple[Request, Sequence[Marks] | VideoAlignError]]:
    """Yield (request, marks for its captions or the error) of clips that are prepared, those of like length scored together.

    Args:
        ready: each request with its prepared clip, or with why there is none.
    """
    results: dict[int, Sequence[Marks] | VideoAlignError] = {}
    sound = []
    for index, (_, clip) in enumerate(ready):
        if isinstance(clip, VideoAlignError):
            results[index] = clip
        else:
            sound.append(index)
    for group in _alike(sound, [judge.batch_length(ready[index][1]) for index in sound]):
        results.update(_score_group(judge, ready, group))
    for index, (request, _) in enumerate(ready):
        yield request, results[index]


def _score_group(judge: Judge, ready: Sequence, group: list[int]) -> dict[int, Sequence[Marks] | VideoAlignError]:
    try:
        with computing(_name(ready[group[0]][0])):
            marks = judge.score_prepared(
                [ready[index][1] for index in group], [ready[index][0].captions for index in group]
            )
        return dict(zip(group, marks, strict=True))
    except VideoAlignError as error:
        failure = error
    if len(group) == 1:
        return {group[0]: failure}
    # One bad clip must not take its neighbours along.
    return {index: result for single in group for index, result in _score_group(judge, ready, [single]).items()}


def _alike(indices: list[int], lengths: list[int]) -> list[list[int]]:
    """Group clips of similar length, so that padding stays below ``MAX_PADDING`` of a group's tokens."""
    groups: list[list[int]] = []
    shortest = 0
    for length, index in sorted(zip(lengths, indices, strict=True)):
        if groups and shortest >= (1 - MAX_PADDING) * length:
            groups[-1].append(index)
        else:
            groups.append([index])
            shortest = length
    return groups
