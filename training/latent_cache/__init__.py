"""Clips and captions encoded once: latents and text embeddings on disk, found by what they were made from.

cache = build_cache(folder, rows, buckets, encoders)    # encodes what is missing, then drops VAE and text encoder
cache.latents(path)                                     # [C, T, H, W]
cache.conditioning(prompt)                              # an unbatched conditioning
"""

from .buckets import Bucket
from .build import CacheRow, build_cache
from .cache import LatentCache
from .encoders import Encoders

__all__ = ["Bucket", "CacheRow", "Encoders", "LatentCache", "build_cache"]
