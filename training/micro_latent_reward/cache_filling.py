"""Fills the latent cache of the micro clips: the numbers that the training command would find, several times faster."""

from __future__ import annotations

import torch

from ...backbones.vae import load_vae
from ..latent_cache import Bucket, CacheRow, Encoders, LatentCache, build_cache
from ..latent_reward.config import Config
from ..latent_reward.pairs import load_pairs
from ..micro_video.whole_clip_vae import WholeClipVAE


@torch.no_grad()
def fill_cache(config: Config) -> LatentCache:
    """Encode the clips and captions of a training that are not in its cache yet; returns the cache."""
    vae = load_vae(config.model.vae)
    pairs = [pair for split in load_pairs(config) for pair in split]
    data = config.data
    return build_cache(
        data.cache,
        [CacheRow(own.pair.prompt, (own.path_a, own.path_b), own.name, own.pair.fps) for own in pairs],
        [Bucket(data.width, data.height, data.frames, data.fps)],
        Encoders(WholeClipVAE(vae.module, vae.weights), config.model.text_encoder),
    )
