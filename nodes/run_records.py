"""What guided sampling runs have recorded, found again by the latents that they gave. Nothing here imports ComfyUI.

ComfyUI hands a sampler's LATENT on from its caches, to several nodes, in another order than it was made, while a node's other
outputs stay what they were. So a trace is not kept beside the model that was sampled with, but found by the samples' own
content.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..backbones.flow_path import SAME_SIGMA
from .nested_latents import video_part

if TYPE_CHECKING:
    from ..guidance.trace import TracePoint

_MOST_RECORDS = 2048


@dataclass(frozen=True)
class RunRecord:
    """One sampler call.

    Attributes:
        run: its number among the runs of its guidance node since ComfyUI was started, from 1.
        seed: what the noise was drawn with; None where the sampler did not say.
        sigmas: the sampler's schedule, in the model's unit.
        points: what was recorded; their steps are counted from this call's start.
        before: the call that this one went on from, where its latent was still noisy (two experts, a split schedule).
        begins_late: it went on from a noisy latent of which nothing is recorded.
    """

    run: int
    seed: int | None
    sigmas: tuple[float, ...]
    points: tuple[TracePoint, ...]
    before: RunRecord | None = None
    begins_late: bool = False

    def parts(self) -> list[RunRecord]:
        """This call and those that it went on from, the first one first."""
        return [*(self.before.parts() if self.before else []), self]

    def can_go_on(self, sigmas: Sequence[float]) -> bool:
        """Whether a sampler of this schedule starts at the noise level where this one ended, above 0."""
        ended = self.sigmas[-1]
        return ended > 0 and abs(float(sigmas[0]) - ended) <= SAME_SIGMA * ended


class RunRecords:
    """Records by who steered and by the samples that came out; the oldest are forgotten."""

    def __init__(self, most: int = _MOST_RECORDS) -> None:
        self._most = most
        self._records: OrderedDict[tuple[Hashable, bytes], RunRecord] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, steered_by: Hashable, samples: Any, record: RunRecord) -> None:
        """Remember what gave these samples (tensor, or ComfyUI's nested tensor)."""
        key = (steered_by, fingerprint(samples))
        with self._lock:
            self._records[key] = record
            self._records.move_to_end(key)
            while len(self._records) > self._most:
                self._records.popitem(last=False)

    def find(self, steered_by: Hashable, samples: Any) -> RunRecord | None:
        """What gave these samples, if it was steered so and is still known."""
        key = (steered_by, fingerprint(samples))
        with self._lock:
            record = self._records.get(key)
            if record is not None:
                self._records.move_to_end(key)
        return record


def fingerprint(samples: Any) -> bytes:
    """A digest of a video latent's numbers, the same in float32 and in float16 (ComfyUI's ``--fp16-intermediates``).

    Of a video with sound the video alone counts: a trace says what became of it, and it is found whether the video still has
    its sound, has another one, or none.

    Args:
        samples: [B, ...], on any device, or a nested tensor.
    """
    import torch

    numbers = video_part(samples).detach().to("cpu", torch.float16).flatten(1).contiguous()
    digest = hashlib.blake2b(str(tuple(numbers.shape)).encode(), digest_size=16)
    digest.update(numbers.view(torch.uint8).numpy())
    return digest.digest()
