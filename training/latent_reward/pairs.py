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
from .noise import level_below_which, noise_level

if TYPE_CHECKING:
    from ..latent_cache import LatentCache
    from .features import Features


@dataclass(frozen=True)
class LatentPairBatch:
    """Some pairs and the distinct noisy clips that they compare; S clips, P pairs.

    Attributes:
        latents: [S, C, T, H, W] clean latents in the space that the sampler sees.
        noise, sigma: [S, C, T, H, W] and [S] in [0, 1], 0 clean. Both sides of a pair have one level, and one noise unless each
            clip was to have its own.
        conditioning: of the S clips' prompts, and the images that they begin with where the trunk is told them.
        told: the same of each clip by itself, unbatched.
        features: [S, T, H, W, D] of a frozen trunk; then latents, noise and conditioning are None, and nothing is told.
        a, b: for each pair, the index of its sides among the S.
        labels: [P, 3] codes for VQ, MQ, TA: 1 A better, -1 B better, 0 tie, 22 invalid.
        scores_a, scores_b: [P, 3] scores of the sides, 0 where there is none.
        weights: [P].
    """

    latents: Tensor | None
    noise: Tensor | None
    sigma: Tensor
    conditioning: Conditioning | None
    told: list[Conditioning]
    features: Tensor | None
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

    def drawn(self, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers."""
        return torch.randn(tuple(shape), generator=generator_of(*self.key))


@dataclass(frozen=True)
class Seen:
    """A clip under a prompt at a noise: what the trunk sees."""

    clip: Path
    prompt: str
    noise: Noise


class LatentPairData:
    """Pairs whose clips and captions are in a cache.

    Args:
        keep: hold latents in memory (as float16, which the cache has) once they were read.
        constants: what the trunk is told besides the caption, the same for all clips (unbatched).

    Attributes:
        features: of a frozen trunk, taken in place of latents where they are there; None without.
    """

    def __init__(
        self,
        pairs: Sequence[ResolvedPair],
        cache: LatentCache,
        keep: bool = False,
        constants: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.pairs, self.cache, self.constants = list(pairs), cache, dict(constants or {})
        self.features: Features | None = None
        self._kept: dict[Path, Tensor] | None = {} if keep else None
        self._shapes: dict[Path, torch.Size] = {}
        clips = dict.fromkeys(path for pair in self.pairs for path in (pair.chosen, pair.rejected))
        self._numbers = {path: number for number, path in enumerate(clips)}

    def __len__(self) -> int:
        return len(self.pairs)

    def seen(self, row: int, noise: Noise, shared: bool = True) -> tuple[Seen, Seen]:
        """The sides of a pair, at one noise; or at the noise's level and each at a noise of its own.

        A clip's own noise is the same in all pairs that share the given one.
        """
        pair = self.pairs[row]
        return tuple(
            Seen(path, pair.prompt, noise if shared else Noise((*noise.key, "clip", self._numbers[path]), noise.sigma))
            for path in (pair.chosen, pair.rejected)
        )

    def batches(
        self, rows: Sequence[int], sides: Sequence[tuple[Seen, Seen]], features: bool = True
    ) -> list[LatentPairBatch]:
        """The pairs at ``rows``, with what is seen of each, in batches of one latent shape (one batch where all are alike).

        Args:
            features: take what is there of the trunk's features.

        Raises:
            VideoAlignError: the clips of a pair differ in size or length; the message names the row.
        """
        return [batch for _, batch in self.batches_with_rows(rows, sides, features)]

    def batches_with_rows(
        self, rows: Sequence[int], sides: Sequence[tuple[Seen, Seen]], features: bool = True
    ) -> list[tuple[list[int], LatentPairBatch]]:
        """``batches``, each with the rows that are in it."""
        groups: dict[torch.Size, list[tuple[int, tuple[Seen, Seen]]]] = {}
        for row, seen in zip(rows, sides, strict=True):
            pair = self.pairs[row]
            shape, other = self._shape(pair.chosen), self._shape(pair.rejected)
            if shape != other:
                raise VideoAlignError(
                    f"{pair.name}: the latents of its clips are {tuple(shape)} and {tuple(other)}; they must have one size and length."
                )
            groups.setdefault(shape, []).append((row, seen))
        return [([row for row, _ in group], self._batch(shape, group, features)) for shape, group in groups.items()]

    def _batch(
        self, shape: torch.Size, group: Sequence[tuple[int, tuple[Seen, Seen]]], features: bool
    ) -> LatentPairBatch:
        """A clip that is in several pairs with the same noise is there once."""
        distinct: dict[Seen, int] = {}
        a, b = ([distinct.setdefault(sides[side], len(distinct)) for _, sides in group] for side in (0, 1))
        sigma = torch.tensor([seen.noise.sigma for seen in distinct], dtype=torch.float32)
        tokens = self.features.read(list(distinct)) if features and self.features is not None else None
        targets = pair_targets([self.pairs[row].pair for row, _ in group])
        if tokens is not None:
            return LatentPairBatch(None, None, sigma, None, [], tokens, a, b, *targets)
        drawn = {noise: noise.drawn(shape) for noise in dict.fromkeys(seen.noise for seen in distinct)}
        told = [self.told(seen) for seen in distinct]
        return LatentPairBatch(
            torch.stack([self.latents(seen.clip) for seen in distinct]),
            torch.stack([drawn[seen.noise] for seen in distinct]),
            sigma,
            collate(told),
            told,
            None,
            a,
            b,
            *targets,
        )

    def told(self, seen: Seen) -> Conditioning:
        """What the trunk is told of a clip, unbatched."""
        return {**self.cache.conditioning(seen.prompt), **self.cache.image(seen.clip), **self.constants}

    def latents(self, path: Path) -> Tensor:
        """[C, T, H, W] float32 of a clip."""
        if self._kept is None:
            return self.cache.latents(path)
        if path not in self._kept:
            self._kept[path] = self.cache.latents(path).half()
        return self._kept[path].float()

    def _shape(self, path: Path) -> torch.Size:
        if path not in self._shapes:
            self._shapes[path] = self.latents(path).shape
        return self._shapes[path]

    def training_batch(
        self, rows: Sequence[int], first: int, seed: int, config: NoiseConfig, by_prompt: bool = False
    ) -> list[LatentPairBatch]:
        """The pairs at ``rows`` as samples number ``first``, ``first + 1``, ... of the training.

        Args:
            by_prompt: one noise for all pairs of a prompt in a pass over the data, so that a clip of several pairs is run
                once; otherwise one for each sample.
        """
        sides = []
        for index, row in enumerate(rows):
            passes = (first + index) // len(self)
            if config.draws is not None:
                noise = self._draw(row, passes, seed, config)
            else:
                shared = passes, self.pairs[row].prompt
                key = ("latent reward", seed, *(shared if by_prompt else (first + index,)))
                noise = Noise(key, noise_level(config, generator_of(*key, "t")))
            sides.append(self.seen(row, noise, config.shared))
        return self.batches(rows, sides)

    def _draw(self, row: int, number: int, seed: int, config: NoiseConfig) -> Noise:
        """One of the fixed noises of a row's prompt, the same for all its pairs; each pass takes the next one, and a batch has
        many levels, since prompts begin at different ones."""
        prompt = self.pairs[row].prompt
        begin = int(torch.randint(2**31, (), generator=generator_of("first draw", seed, prompt)))
        draw = (begin + number) % config.draws
        key = ("draw", seed, prompt, config.draws, draw)
        within = torch.rand((), generator=generator_of(*key, "t"), dtype=torch.float64).item()
        return Noise(key, level_below_which(config, (draw + within) / config.draws))

    def draws(self, seed: int, config: NoiseConfig) -> list[Seen]:
        """All that training with ``config.draws`` sees."""
        rows, numbers = range(len(self)), range(config.draws or 0)
        every = (
            self.seen(row, self._draw(row, number, seed, config), config.shared) for number in numbers for row in rows
        )
        return list(dict.fromkeys(side for sides in every for side in sides))

    def in_bin(self, row: int, low: float, high: float, seed: int) -> tuple[Seen, Seen]:
        """A held-out pair at a sigma in [low, high) and with one noise that are fixed for this pair."""
        return self.seen(row, _fixed(("held out", seed, row, low), low, high))

    def in_bin_within_prompt(self, row: int, low: float, high: float, seed: int) -> tuple[Seen, Seen]:
        """A held-out pair at a sigma in [low, high) that is fixed for its prompt, each clip with a fixed noise of its own."""
        return self.seen(row, _fixed(("within prompt", seed, self.pairs[row].prompt, low), low, high), shared=False)

    def bin_batch(
        self, rows: Sequence[int], low: float, high: float, seed: int, features: bool = True
    ) -> list[LatentPairBatch]:
        """The pairs at ``rows``, see ``in_bin``."""
        return self.batches(rows, [self.in_bin(row, low, high, seed) for row in rows], features)


def _fixed(key: tuple, low: float, high: float) -> Noise:
    fraction = torch.rand((), generator=generator_of(*key, "t"), dtype=torch.float64).item()
    return Noise(key, low + (high - low) * fraction)


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
