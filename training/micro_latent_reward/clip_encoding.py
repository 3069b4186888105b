"""Fills the latent cache of the micro clips: the numbers that the training command would find, several times faster."""

from __future__ import annotations

import torch
from torch import Tensor

from ...backbones.vae import check_clip, load_vae
from ...backbones.vae_wan import WanVAE
from ..latent_cache import Bucket, CacheRow, Encoders, build_cache
from ..latent_reward.config import Config
from ..latent_reward.pairs import load_pairs
from ..micro_video.whole_clip import encode_whole


class WholeClipVAE(WanVAE):
    """A micro VAE that encodes a clip at once instead of four frames at a time."""

    def encode(self, video: Tensor) -> Tensor:
        check_clip(video, self.latent_format)
        return self._scaled(encode_whole(self.module, video)[0].float(), into=True)


@torch.no_grad()
def fill_cache(config: Config) -> None:
    """Encode the clips and captions of a training that are not in its cache yet."""
    vae = load_vae(config.model.vae)
    pairs = [pair for split in load_pairs(config) for pair in split]
    data = config.data
    build_cache(
        data.cache,
        [CacheRow(own.pair.prompt, (own.path_a, own.path_b), own.name, own.pair.fps) for own in pairs],
        [Bucket(data.width, data.height, data.frames, data.fps)],
        Encoders(WholeClipVAE(vae.module, vae.weights), config.model.text_encoder),
    )
