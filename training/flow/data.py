"""Rows as training batches: cached latents, cached captions and images, and the noise that belongs to each sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...backbones.backbone import collate
from ...errors import ClipError, VideoAlignError
from .method import NoisedClips
from .noise import NoiseConfig, draw, sigma_of
from .rows import FlowRow

if TYPE_CHECKING:
    from ..latent_cache import LatentCache


class FlowData:
    """Rows that give batches.

    Args:
        sides: names of the clips of a row.
        real: rows of real clips, one of which goes with each sample.
        seed: of noise and levels, with the number of the sample.
    """

    def __init__(
        self, rows: Sequence[FlowRow], sides: Sequence[str], cache: LatentCache, noise: NoiseConfig, seed: int,
        real: Sequence[FlowRow] = (),
    ) -> None:  # fmt: skip
        self.rows, self.sides, self.cache, self.noise, self.seed = list(rows), tuple(sides), cache, noise, seed
        self.real = list(real)

    def __len__(self) -> int:
        return len(self.rows)

    def training_batch(self, rows: Sequence[int], first: int) -> list[NoisedClips]:
        """Rows as the samples number ``first``, ``first + 1``, ... of the run, grouped by the shape of their latents.

        Raises:
            VideoAlignError: latents are missing or not finite, or the clips of a row differ in size; it names the row.
        """
        samples = []
        for index, row in enumerate(rows):
            key = ("flow", self.seed, first + index)
            sample = self.sample(self.rows[row], self.sides, *key)
            if self.real:
                chosen = self.real[(first + index) % len(self.real)]
                sample = replace(sample, real=self.sample(chosen, ("clip",), *key, "real"))
            samples.append(sample)
        return grouped(samples)

    def held_out_batch(self, rows: Sequence[int], level: int, levels: int) -> list[NoisedClips]:
        """Rows at the ``level``-th of ``levels`` fixed noise levels, each row with a fixed noise of its own."""
        sigma = sigma_of(self.noise, (level + 0.5) / levels)
        return grouped(
            [self.sample(self.rows[row], self.sides, "held out", self.seed, row, level, sigma=sigma) for row in rows]
        )

    def sample(self, row: FlowRow, sides: Sequence[str], *key: object, sigma: float | None = None) -> NoisedClips:
        """One row as a batch of one; ``key`` makes its noise and, unless ``sigma`` is given, its level."""
        clips = {side: self._latents(row, side) for side in sides}
        shapes = {side: tuple(latents.shape) for side, latents in clips.items()}
        if len(set(shapes.values())) > 1:
            raise VideoAlignError(
                f"{row.name}: the clips of a pair must have one size and length; their latents are "
                + ", ".join(f"{side} {shape}" for side, shape in shapes.items())
                + ". Make both clips alike, or remove the pair."
            )
        drawn, noise = draw(self.noise, next(iter(clips.values())).shape, *key)
        return NoisedClips(
            {side: latents[None] for side, latents in clips.items()},
            noise[None],
            torch.tensor([drawn if sigma is None else sigma], dtype=torch.float32),
            collate([self._conditioning(row)]),
            torch.tensor([row.weight], dtype=torch.float32),
            torch.tensor([row.target], dtype=torch.float32),
        )

    def _latents(self, row: FlowRow, side: str) -> Tensor:
        try:
            latents = self.cache.latents(row.clips[side])
        except VideoAlignError as error:
            raise type(error)(f"{row.name}: {error}") from None
        if not latents.isfinite().all():
            raise ClipError(
                f"{row.name}: the latents of {row.clips[side]} are not finite. Encode it again, or remove the row."
            )
        return latents.float()

    def _conditioning(self, row: FlowRow) -> dict[str, Tensor]:
        try:
            # All clips of a row have one image (see first_frames.py), so any of them gives it.
            return self.cache.conditioning(row.prompt) | self.cache.image(next(iter(row.clips.values())))
        except VideoAlignError as error:
            raise type(error)(f"{row.name}: {error}") from None


def grouped(samples: Sequence[NoisedClips]) -> list[NoisedClips]:
    """Batches of one put together where their latents have one shape, in the order of first use."""
    groups: dict[tuple, list[NoisedClips]] = {}
    for sample in samples:
        shape = (sample.noise.shape, None if sample.real is None else sample.real.noise.shape)
        groups.setdefault(shape, []).append(sample)
    return [_stacked(group) for group in groups.values()]


def _stacked(group: Sequence[NoisedClips]) -> NoisedClips:
    if len(group) == 1:
        return group[0]
    reals = [sample.real for sample in group if sample.real is not None]
    return NoisedClips(
        {side: torch.cat([sample.clips[side] for sample in group]) for side in group[0].clips},
        torch.cat([sample.noise for sample in group]),
        torch.cat([sample.sigma for sample in group]),
        collate([{name: value[0] for name, value in sample.conditioning.items()} for sample in group]),
        torch.cat([sample.weight for sample in group]),
        torch.cat([sample.target for sample in group]),
        _stacked(reals) if reals else None,
    )
