"""What searches have seen and finished since ComfyUI was started: a search goes on where an earlier one was stopped. Nothing here imports ComfyUI."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from .nested_latents import parts

if TYPE_CHECKING:
    from ..reward.search.pace import Pace
    from .scored_clip import ScoredClip

MOST_LOOKS = 256  # of some hundred kilobytes each, for their small pictures
MOST_BYTES = 2**30  # of finished latents


def look_key(sampled_by: str, judged_by: str, prompt: str, seed: int, step: int) -> Hashable:
    """Of a look: all that its marks depend on."""
    return sampled_by, judged_by, prompt, seed, step


class KnownTakes:
    """Looks and finished latents by what they depend on; the oldest are forgotten.

    Args:
        most_looks: how many looks are kept.
        most_bytes: of finished latents, all together; the last one is kept however large it is.
    """

    def __init__(self, most_looks: int = MOST_LOOKS, most_bytes: int = MOST_BYTES) -> None:
        self._most_looks, self._most_bytes = most_looks, most_bytes
        self._looks: OrderedDict[Hashable, ScoredClip] = OrderedDict()
        self._finished: OrderedDict[Hashable, Any] = OrderedDict()
        self._paces: dict[Hashable, Pace] = {}
        self._lock = threading.Lock()

    def look(self, key: Hashable) -> ScoredClip | None:
        """What was seen."""
        return self._found(self._looks, key)

    def keep_look(self, key: Hashable, clip: ScoredClip) -> None:
        """Remember what was seen."""
        with self._lock:
            self._looks[key] = clip
            while len(self._looks) > self._most_looks:
                self._looks.popitem(last=False)

    def pace(self, key: Hashable) -> Pace | None:
        """How long takes last, as measured at the first one: a search that is run again drafts the same seeds."""
        return self._paces.get(key)

    def keep_pace(self, key: Hashable, pace: Pace) -> None:
        """Remember how long takes last."""
        self._paces[key] = pace

    def finished(self, key: Hashable) -> Any:
        """The samples of a finished clip, which nobody may change."""
        return self._found(self._finished, key)

    def keep_finished(self, key: Hashable, samples: Any) -> None:
        """Remember the samples of a finished clip."""
        with self._lock:
            self._finished[key] = samples
            while len(self._finished) > 1 and sum(map(_bytes, self._finished.values())) > self._most_bytes:
                self._finished.popitem(last=False)

    def _found(self, kept: OrderedDict, key: Hashable) -> Any:
        with self._lock:
            if key in kept:
                kept.move_to_end(key)
            return kept.get(key)


def _bytes(samples: Any) -> int:
    return sum(part.numel() * part.element_size() for part in parts(samples))


KNOWN = KnownTakes()
