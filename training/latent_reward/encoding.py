"""Clips, captions and images of the pairs, encoded once into a cache that later runs find again."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...backbones.latent_format import LatentFormat
from ...errors import VideoAlignError
from ..latent_cache import Bucket, CacheRow, Encoders, LatentCache, PrintedTenths, build_cache
from ..loop.processes import process_state
from .config import Config
from .pairs import ClipPair


def encoded(
    config: Config, pairs: Sequence[ClipPair], latent_format: LatentFormat, image_entries: Sequence[str] = ()
) -> tuple[LatentCache, dict[str, str]]:
    """A cache with every clip and caption, and what encoded them; with several processes each encodes a share.

    Args:
        latent_format: what the trunk reads.
        image_entries: what the trunk needs of each pair's image.

    Raises:
        VideoAlignError: a clip cannot be encoded (the message names its row), the VAE is of another latent space, or an image
            encoder is needed and not given.
    """
    state, data = process_state(), config.data
    buckets = [Bucket(data.width, data.height, data.frames, data.fps), *map(Bucket.parse, data.buckets)]
    for bucket in buckets:
        latent_format.shape(bucket.frames, bucket.height, bucket.width)  # a size that does not fit is an error at once
    text_dtype = torch.bfloat16 if state.device.type == "cuda" else None
    encoders = Encoders(
        config.model.vae,
        config.model.text_encoder,
        state.device,
        text_dtype,
        image_encoder=config.model.image_encoder,
    )
    identities = {"vae": encoders.vae_identity, "text_encoder": encoders.text_identity}
    if "image_embeds" in image_entries:
        identities["image_encoder"] = encoders.image_identity
    cache = build_cache(
        data.cache or config.output / "cache",
        [CacheRow(own.pair.prompt, (own.path_a, own.path_b), own.name, own.pair.fps) for own in pairs],
        buckets,
        encoders,
        image_entries=image_entries,
        share=(state.process_index, state.num_processes),
        wait=state.wait_for_everyone,
        progress=PrintedTenths() if state.is_main_process else None,
    )
    if cache.latent_format != latent_format.name:
        raise VideoAlignError(
            f"{config.model.vae} makes {cache.latent_format} latents; {config.model.trunk} reads {latent_format.name}. "
            "Give the VAE of the same model."
        )
    return cache, identities
