"""Preference pairs for a latent reward: read, split, and turned into noisy batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...backbones.backbone import Conditioning, collate
from ...reward.errors import VideoAlignError
from ...reward.settings import DIMENSIONS
from ..data.importers.detect import detect_format
from ..data.preferences import PreferencePair, read_preferences
from .config import Config, MarginConfig, NoiseConfig
from .noise import generator_of, noise_level

if TYPE_CHECKING:
    from ..latent_cache import LatentCache


@dataclass(frozen=True)
class ClipPair:
    """A pair with the paths of its clips resolved; A is the chosen one. ``name`` is for error messages."""

    pair: PreferencePair
    path_a: Path
    path_b: Path
    name: str


@dataclass(frozen=True)
class LatentPairBatch:
    """Some pairs, their latents, and one noise level and one noise for both sides of each.

    Attributes:
        latents_a, latents_b: [P, C, T, H, W] clean latents in the space that the sampler sees.
        conditioning: of the P prompts.
        noise: [P, C, T, H, W].
        t: [P] in [0, 1], 0 clean.
        labels: [P, 3] codes for VQ, MQ, TA: 1 A better, -1 B better, 0 tie, 22 invalid.
        weights: [P].
    """

    latents_a: Tensor
    latents_b: Tensor
    conditioning: Conditioning
    noise: Tensor
    t: Tensor
    labels: Tensor
    weights: Tensor


class LatentPairData:
    """Pairs whose clips and captions are in a cache."""

    def __init__(self, pairs: Sequence[ClipPair], cache: LatentCache) -> None:
        self.pairs, self.cache = list(pairs), cache

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, rows: Sequence[int], t: Sequence[float], generators: Sequence[torch.Generator]) -> LatentPairBatch:
        """The pairs at ``rows``, with the given noise level and the noise that each one's generator draws next.

        Raises:
            VideoAlignError: the clips of the rows differ in size or length; the message names the row.
        """
        chosen = [self.pairs[row] for row in rows]
        sides = [[self.cache.latents(path) for path in (pair.path_a, pair.path_b)] for pair in chosen]
        shape = sides[0][0].shape
        for pair, latents in zip(chosen, sides, strict=True):
            if any(side.shape != shape for side in latents):
                found = " and ".join(str(tuple(side.shape)) for side in latents)
                raise VideoAlignError(
                    f"{pair.name}: its latents are {found}, others of the batch {tuple(shape)}; the clips of a batch must have one size and length."
                )
        return LatentPairBatch(
            torch.stack([a for a, _ in sides]).float(),
            torch.stack([b for _, b in sides]).float(),
            collate([self.cache.conditioning(pair.pair.prompt) for pair in chosen]),
            torch.stack([torch.randn(shape, generator=generator) for generator in generators]),
            torch.tensor(t, dtype=torch.float32),
            torch.tensor([pair.pair.label_codes(DIMENSIONS) for pair in chosen]),
            torch.tensor([pair.pair.weight for pair in chosen]),
        )

    def training_batch(self, rows: Sequence[int], first: int, seed: int, noise: NoiseConfig) -> LatentPairBatch:
        """The pairs at ``rows`` as samples number ``first``, ``first + 1``, ... of the training."""
        generators = [generator_of("latent reward", seed, first + place) for place in range(len(rows))]
        return self.batch(rows, [noise_level(noise, generator) for generator in generators], generators)

    def bin_batch(self, rows: Sequence[int], low: float, high: float, seed: int) -> LatentPairBatch:
        """The pairs at ``rows``, each at its own fixed t in [low, high) and with its own fixed noise."""
        generators = [generator_of("held out", seed, row, low) for row in rows]
        places = [torch.rand((), generator=generator, dtype=torch.float64).item() for generator in generators]
        return self.batch(rows, [low + (high - low) * place for place in places], generators)


def load_pairs(config: Config) -> tuple[list[ClipPair], list[ClipPair]]:
    """Training and held-out pairs; without held-out files whole prompts are set aside, so that no prompt is in both.

    Raises:
        VideoAlignError: a file cannot be read, a clip is missing, or nothing can be learnt from the labels.
    """
    train = [pair for path in config.data.train for pair in _read(path, config)]
    if config.data.eval:
        held_out = [pair for path in config.data.eval for pair in _read(path, config)]
    else:
        prompts = sorted({pair.pair.prompt for pair in train})
        count = round(config.data.eval_share * len(prompts))
        chosen = set(np.random.default_rng(config.seed).permutation(prompts)[:count].tolist())
        held_out = [pair for pair in train if pair.pair.prompt in chosen]
        train = [pair for pair in train if pair.pair.prompt not in chosen]
    if not any(abs(code) == 1 for pair in train for code in pair.pair.label_codes(DIMENSIONS)):
        raise VideoAlignError(
            "No training pair says for VQ, MQ or TA which clip is better; there is nothing to learn from."
        )
    return train, held_out


def _read(path: Path, config: Config) -> Iterable[ClipPair]:
    if Path(path).is_file() and detect_format(path) == "scored_clips":
        preferences = read_preferences(path, root=config.data.root, pairing="all")
    else:
        preferences = read_preferences(path, root=config.data.root)
    preferences.check_clips()
    for index, pair in enumerate(preferences.pairs):
        row = preferences.rows[index] if preferences.rows else index + 1
        name = f"{path}, row {row}" + (f" ({pair.id})" if pair.id else "")
        if preferences.format == "scored_clips":
            pair = labelled_by_scores(pair, config.margin)
        yield ClipPair(pair, preferences.clip(index, "chosen"), preferences.clip(index, "rejected"), name)


def labelled_by_scores(pair: PreferencePair, margin: MarginConfig) -> PreferencePair:
    """The pair with its labels for VQ, MQ and TA made from its scores: a lead up to the dimension's margin is a tie."""
    labels = dict(pair.labels)
    for name in DIMENSIONS:
        if name in pair.scores_chosen and name in pair.scores_rejected:
            lead = pair.scores_chosen[name] - pair.scores_rejected[name]
            labels[name] = "same" if abs(lead) <= getattr(margin, name) else "A" if lead > 0 else "B"
    return pair.model_copy(update={"labels": labels})
