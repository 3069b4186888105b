"""Clips, captions and images of the rows, encoded once; the encoders leave memory before the network comes."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..latent_cache import Bucket, CacheRow, Encoders, LatentCache, PrintedTenths, build_cache
from ..loop.processes import process_state
from .config import FlowConfig
from .task import FlowRows


def encoded(config: FlowConfig, rows: FlowRows, image_entries: Sequence[str] = ()) -> LatentCache:
    """A cache with every clip and caption; with several processes each encodes a share.

    Args:
        image_entries: what the network needs of each row's image.

    Raises:
        VideoAlignError: a clip cannot be read, or the clips of a pair cannot be brought to one size or begin with
            different images (it names the row); or an image encoder is needed and not given.
    """
    state = process_state()
    text_dtype = torch.bfloat16 if state.device.type == "cuda" else None
    return build_cache(
        config.data.cache or config.output / "cache",
        [CacheRow(row.prompt, tuple(row.clips.values()), row.name, row.fps) for row in rows.all],
        buckets(config),
        Encoders(
            config.model.vae,
            config.model.text_encoder,
            state.device,
            text_dtype,
            image_encoder=config.model.image_encoder,
        ),
        rows.further_prompts,
        image_entries=image_entries,
        pictures=config.preview.images,
        share=(state.process_index, state.num_processes),
        wait=state.wait_for_everyone,
        progress=PrintedTenths() if state.is_main_process else None,
    )


def buckets(config: FlowConfig) -> list[Bucket]:
    """The size that ``config.data`` gives, and the further ones."""
    data = config.data
    return [Bucket(data.width, data.height, data.frames, data.fps), *map(Bucket.parse, data.buckets)]
