"""Preference pairs for a latent reward: read, split, and turned into noisy batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...backbones.backbone import Conditioning, collate
from ...backbones.flow_path import generator_of
from ...errors import VideoAlignError
from ...preferences.preference_file import PreferencePair, ResolvedPair
from ...preferences.splits import split_pairs
from ...reward.dimensions import DIMENSIONS
from ..pair_targets import pair_targets, require_winners
from .config import Config, MarginConfig, NoiseConfig
from .noise import noise_level

if TYPE_CHECKING:
    from ..latent_cache import LatentCache


@dataclass(frozen=True)
class LatentPairBatch:
    """Some pairs and the distinct noisy clips that they compare; S clips, P pairs.

    Attributes:
        latents: [S, C, T, H, W] clean latents in the space that the sampler sees.
        noise, sigma: [S, C, T, H, W] and [S] in [0, 1], 0 clean; the same for both sides of a pair.
        conditioning: of the S clips' prompts, and the images that they begin with where the trunk is told them.
        a, b: for each pair, the index of its sides among the S.
        labels: [P, 3] codes for VQ, MQ, TA: 1 A better, -1 B better, 0 tie, 22 invalid.
        scores_a, scores_b: [P, 3] scores of the sides, 0 where there is none.
        weights: [P].
    """

    latents: Tensor
    noise: Tensor
    sigma: Tensor
    conditioning: Conditioning
    a: list[int]
    b: list[int]
    labels: Tensor
    scores_a: Tensor
    scores_b: Tensor
    weights: Tensor


@dataclass(frozen=True)
class Noise:
    """The noise level of a sample, and the key of its noise (see ``generator_of``).

    The level is drawn by ``key`` and "t", the paper's name of sigma: runs that go on must draw the same levels.
    """

    key: tuple
    sigma: float


class LatentPairData:
    """Pairs whose clips and captions are in a cache.

    Args:
        keep: hold latents in memory (as float16, which the cache has) once they were read.
        constants: what the trunk is told besides the caption, the same for all clips (unbatched).
    """

    def __init__(
        self,
        pairs: Sequence[ResolvedPair],
        cache: LatentCache,
        keep: bool = False,
        constants: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.pairs, self.cache, self.constants = list(pairs), cache, dict(constants or {})
        self._kept: dict[Path, Tensor] | None = {} if keep else None

    def __len__(self) -> int:
        return len(self.pairs)

    def batches(self, rows: Sequence[int], noises: Sequence[Noise]) -> list[LatentPairBatch]:
        """The pairs at ``rows``, each with its noise, in batches of one latent shape (one batch where all are alike).

        Raises:
            VideoAlignError: the clips of a pair differ in size or length; the message names the row.
        """
        groups: dict[torch.Size, list[tuple[ResolvedPair, Noise]]] = {}
        for row, noise in zip(rows, noises, strict=True):
            pair = self.pairs[row]
            shape, other = self._latents(pair.chosen).shape, self._latents(pair.rejected).shape
            if shape != other:
                raise VideoAlignError(
                    f"{pair.name}: the latents of its clips are {tuple(shape)} and {tuple(other)}; they must have one size and length."
                )
            groups.setdefault(shape, []).append((pair, noise))
        return [self._batch(shape, group) for shape, group in groups.items()]

    def _batch(self, shape: torch.Size, group: Sequence[tuple[ResolvedPair, Noise]]) -> LatentPairBatch:
        """A clip that is in several pairs with the same noise is there once."""
        distinct: dict[tuple, int] = {}
        sides: dict[str, list[int]] = {"a": [], "b": []}
        for pair, noise in group:
            for side, path in (("a", pair.chosen), ("b", pair.rejected)):
                key = (path, pair.prompt, noise)
                sides[side].append(distinct.setdefault(key, len(distinct)))
        drawn = {noise: torch.randn(shape, generator=generator_of(*noise.key)) for _, noise in group}
        return LatentPairBatch(
            torch.stack([self._latents(path) for path, _, _ in distinct]),
            torch.stack([drawn[noise] for _, _, noise in distinct]),
            torch.tensor([noise.sigma for _, _, noise in distinct], dtype=torch.float32),
            collate(
                [
                    {**self.cache.conditioning(prompt), **self.cache.image(path), **self.constants}
                    for path, prompt, _ in distinct
                ]
            ),
            sides["a"],
            sides["b"],
            *pair_targets([pair.pair for pair, _ in group]),
        )

    def _latents(self, path: Path) -> Tensor:
        if self._kept is None:
            return self.cache.latents(path)
        if path not in self._kept:
            self._kept[path] = self.cache.latents(path).half()
        return self._kept[path].float()

    def training_batch(
        self, rows: Sequence[int], first: int, seed: int, config: NoiseConfig, by_prompt: bool = False
    ) -> list[LatentPairBatch]:
        """The pairs at ``rows`` as samples number ``first``, ``first + 1``, ... of the training.

        Args:
            by_prompt: one noise for all pairs of a prompt in a pass over the data, so that a clip of several pairs is run
                once; otherwise one for each sample.
        """
        noises = []
        for index, row in enumerate(rows):
            shared = (first + index) // len(self), self.pairs[row].prompt
            key = ("latent reward", seed, *(shared if by_prompt else (first + index,)))
            noises.append(Noise(key, noise_level(config, generator_of(*key, "t"))))
        return self.batches(rows, noises)

    def bin_batch(self, rows: Sequence[int], low: float, high: float, seed: int) -> list[LatentPairBatch]:
        """The pairs at ``rows``, each at a sigma in [low, high) and with a noise that are fixed for this pair."""
        noises = []
        for row in rows:
            key = ("held out", seed, row, low)
            fraction = torch.rand((), generator=generator_of(*key, "t"), dtype=torch.float64).item()
            noises.append(Noise(key, low + (high - low) * fraction))
        return self.batches(rows, noises)


def load_pairs(config: Config) -> tuple[list[ResolvedPair], list[ResolvedPair]]:
    """Training and held-out pairs (see ``split_pairs``), those of score files labelled by ``config.margin``.

    Raises:
        VideoAlignError: a file cannot be read, a clip is missing, or nothing can be learnt from the labels.
    """
    train, held_out = (labelled(pairs, config.margin) for pairs in split_pairs(config.data, config.seed))
    require_winners(train)
    return train, held_out


def labelled(pairs: Iterable[ResolvedPair], margin: MarginConfig) -> list[ResolvedPair]:
    """The pairs, those of score files with the labels that ``labelled_by_scores`` makes."""
    return [
        replace(pair, pair=labelled_by_scores(pair.pair, margin)) if pair.format == "scored_clips" else pair
        for pair in pairs
    ]


def labelled_by_scores(pair: PreferencePair, margin: MarginConfig) -> PreferencePair:
    """The pair with its labels for VQ, MQ and TA made from its scores: a lead up to the dimension's margin is a tie."""
    labels = dict(pair.labels)
    for name in DIMENSIONS:
        if name in pair.scores_chosen and name in pair.scores_rejected:
            lead = pair.scores_chosen[name] - pair.scores_rejected[name]
            labels[name] = "same" if abs(lead) <= getattr(margin, name) else "A" if lead > 0 else "B"
    return pair.model_copy(update={"labels": labels})
