"""Preference pairs as training batches: every clip of a batch prepared once, however many pairs it is in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ...clips.clip_fault import reading
from ...errors import ClipError, VideoAlignError
from ...preferences.preference_file import ResolvedPair
from ...reward.clip import PreparedClip, prepare_clip
from ...reward.frame_pixels import CLIP_MEAN, CLIP_STD
from ...reward.settings import FrameSampling
from ..pair_targets import pair_targets


@dataclass(frozen=True)
class PairBatch:
    """Some pairs, their distinct clips and prompts.

    Attributes:
        clips, captions: the distinct (clip, prompt) combinations.
        a, b: for each pair, the index of its sides in ``clips``.
        labels: [pairs, 3] codes 1 A better, -1 B better, 0 tie, 22 invalid.
        scores_a, scores_b: [pairs, 3] Likert scores, 0 where there is none.
        weights: [pairs].
    """

    clips: list[PreparedClip]
    captions: list[str]
    a: list[int]
    b: list[int]
    labels: torch.Tensor
    scores_a: torch.Tensor
    scores_b: torch.Tensor
    weights: torch.Tensor


class PairData:
    """Pairs that give batches.

    Args:
        pairs: resolved pairs.
        sampling: frame rate and size.
        keep: keep each clip's resized frames in memory after the first time.
    """

    def __init__(self, pairs: Sequence[ResolvedPair], sampling: FrameSampling, keep: bool) -> None:
        self.pairs, self.sampling = list(pairs), sampling
        self._kept: dict | None = {} if keep else None

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, rows: Sequence[int]) -> PairBatch:
        """The pairs at ``rows``, their clips decoded.

        Raises:
            ClipError: a clip cannot be used; the message names the row.
        """
        indices: dict[tuple, int] = {}
        clips: list[PreparedClip] = []
        captions: list[str] = []
        sides: dict[str, list[int]] = {"a": [], "b": []}
        for row in rows:
            loaded = self.pairs[row]
            for side, path in (("a", loaded.chosen), ("b", loaded.rejected)):
                key = (path, loaded.fps, loaded.prompt)
                if key not in indices:
                    indices[key] = len(clips)
                    clips.append(self._clip(loaded, path))
                    captions.append(loaded.prompt)
                sides[side].append(indices[key])
        targets = pair_targets([self.pairs[row].pair for row in rows])
        return PairBatch(clips, captions, sides["a"], sides["b"], *targets)

    def _clip(self, loaded: ResolvedPair, path: Path) -> PreparedClip:
        key = (path, loaded.fps)
        if self._kept is not None and key in self._kept:
            return _unpack(self._kept[key])
        try:
            with reading(path):
                clip = prepare_clip(path, self.sampling, loaded.fps)
        except VideoAlignError as error:
            raise ClipError(f"{loaded.name}: {error}") from None
        if self._kept is not None:
            self._kept[key] = _pack(clip)
        return clip


def _pack(clip: PreparedClip) -> PreparedClip:
    """The clip with its patches as 8-bit grey levels, a quarter of the size; exact, since grey levels they were."""
    mean, std = _channel_constants()
    grey = ((_by_channel(clip.patches) * std + mean) * 255).round().to(torch.uint8)
    return replace(clip, patches=grey.flatten(1))


def _unpack(clip: PreparedClip) -> PreparedClip:
    """Inverse of ``_pack``: the same arithmetic as ``normalise``, hence the same bits."""
    mean, std = _channel_constants()
    return replace(clip, patches=((_by_channel(clip.patches) / 255 - mean) / std).flatten(1))


def _by_channel(patches: torch.Tensor) -> torch.Tensor:
    return patches.unflatten(1, (3, -1))


def _channel_constants() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(CLIP_MEAN)[:, None], torch.tensor(CLIP_STD)[:, None]
