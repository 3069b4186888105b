"""Score any number of clips, decoding the next ones while the model works on the present ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from ..errors import VideoAlignError
from .clip import Frames, PreparedClip, prepare_clip
from .scores import ClipScores
from .video_reward import VideoReward

# Padding a batch to its longest clip must not cost more than this share of its tokens.
MAX_PADDING = 0.1
NO_LOCK = nullcontext()


@dataclass(frozen=True)
class Request:
    """One clip to score.

    Attributes:
        clip: anything that ``prepare_clip`` takes.
        captions: what to score it against; (None,) for VQ and MQ only.
        fps: overrides the clip's own frame rate, in frames per second.
        key: given back with the result, untouched.
    """

    clip: object
    captions: tuple[str | None, ...] = (None,)
    fps: float | None = None
    key: object = None


def score_stream(
    model: VideoReward, requests: Iterable[Request], batch_size: int = 4, decode_threads: int = 2
) -> Iterator[tuple[Request, list[ClipScores] | VideoAlignError]]:
    """Yield (request, scores of its captions or the error) in the order of the requests.

    Args:
        batch_size: clips decoded ahead and, where their lengths are alike, sharing a forward pass.
        decode_threads: threads that decode and resize; 0 decodes in the calling thread.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be at least 1.")
    requests = iter(requests)
    locks: dict[int, Lock] = {}
    with ThreadPoolExecutor(max(decode_threads, 1), thread_name_prefix="videoalign-decode") as pool:
        waiting: deque[tuple[Request, Future | None]] = deque()

        def lock_of(clip: object) -> AbstractContextManager:
            if isinstance(clip, (str, Path, Frames, PreparedClip)):
                return NO_LOCK
            return locks.setdefault(id(clip), Lock())  # two threads must not read one open file or container at once

        def refill() -> None:
            while len(waiting) < 2 * batch_size:
                request = next(requests, None)
                if request is None:
                    return
                future = pool.submit(_prepare, model, request, lock_of(request.clip)) if decode_threads else None
                waiting.append((request, future))

        try:
            refill()
            while waiting:
                window = [waiting.popleft() for _ in range(min(batch_size, len(waiting)))]
                ready = [
                    (request, future.result() if future else _prepare(model, request)) for request, future in window
                ]
                refill()  # the next window is decoded while this one is scored
                yield from _score_window(model, ready)
        finally:
            for _, future in waiting:
                if future is not None:
                    future.cancel()


def _prepare(
    model: VideoReward, request: Request, lock: AbstractContextManager = NO_LOCK
) -> PreparedClip | VideoAlignError:
    try:
        for caption in request.captions:
            model.check_caption(caption)
        with lock:
            return prepare_clip(request.clip, model.settings.sampling, request.fps)
    except VideoAlignError as error:
        return error


def _score_window(model: VideoReward, ready: list[tuple[Request, PreparedClip | VideoAlignError]]):
    results: dict[int, list[ClipScores] | VideoAlignError] = {}
    sound, tokens = [], []
    for index, (_, clip) in enumerate(ready):
        if isinstance(clip, VideoAlignError):
            results[index] = clip
        else:
            sound.append(index)
            tokens.append(clip.video_tokens)
    for group in _alike(sound, tokens):
        results.update(_score_group(model, ready, group))
    for index, (request, _) in enumerate(ready):
        yield request, results[index]


def _score_group(model: VideoReward, ready: list, group: list[int]) -> dict[int, list[ClipScores] | VideoAlignError]:
    try:
        scores = model.score_prepared(
            [ready[index][1] for index in group], [ready[index][0].captions for index in group]
        )
        return dict(zip(group, scores, strict=True))
    except VideoAlignError as error:
        if len(group) == 1:
            return {group[0]: error}
        # One bad clip must not take its neighbours along.
        return {index: result for single in group for index, result in _score_group(model, ready, [single]).items()}


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
