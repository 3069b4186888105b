"""Clips, captions and images encoded once: latents and embeddings on disk, under a digest of what they were made from.

cache = build_cache(folder, rows, buckets, encoders)    # encodes what is missing, then drops the encoders
cache.latents(path)                                     # [C, T, H, W]
cache.conditioning(prompt)                              # an unbatched conditioning
cache.image(path)                                       # what it has of the image that a clip begins with
"""

from .buckets import Bucket
from .build import build_cache
from .cache import CacheRow, LatentCache
from .encode_rows import check_latent_space, encode_rows, encoders_of
from .encoders import Encoders
from .printed_tenths import PrintedTenths

__all__ = [
    "Bucket",
    "CacheRow",
    "Encoders",
    "LatentCache",
    "PrintedTenths",
    "build_cache",
    "check_latent_space",
    "encode_rows",
    "encoders_of",
]
