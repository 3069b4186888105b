"""Clips and captions of the rows, encoded once; VAE and text encoder leave memory before the network comes."""

from __future__ import annotations

import sys

import torch

from ..latent_cache import Bucket, CacheRow, Encoders, LatentCache, build_cache
from ..loop.processes import process_state
from .config import FlowConfig
from .task import FlowRows


def encoded(config: FlowConfig, rows: FlowRows) -> LatentCache:
    """A cache with every clip and caption; with several processes each encodes a share.

    Raises:
        VideoAlignError: a clip cannot be read, or the clips of a pair cannot be brought to one size; it names the row.
    """
    state = process_state()
    text_dtype = torch.bfloat16 if state.device.type == "cuda" else None
    return build_cache(
        config.data.cache or config.output / "cache",
        [CacheRow(row.prompt, tuple(row.clips.values()), row.name, row.fps) for row in rows.all],
        buckets(config),
        Encoders(config.model.vae, config.model.text_encoder, state.device, text_dtype),
        rows.further_prompts,
        share=(state.process_index, state.num_processes),
        wait=state.wait_for_everyone,
        progress=_Progress() if state.is_main_process else None,
    )


def buckets(config: FlowConfig) -> list[Bucket]:
    """The size that ``config.data`` gives, and the further ones."""
    data = config.data
    return [Bucket(data.width, data.height, data.frames, data.fps), *map(Bucket.parse, data.buckets)]


class _Progress:
    """A line for each tenth of the work."""

    def __init__(self) -> None:
        self._said: tuple[str, int] | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        tenth = (what, 10 * done // max(total, 1))
        if tenth != self._said:
            self._said = tenth
            print(f"{what}: {done} of {total}", file=sys.stderr)
