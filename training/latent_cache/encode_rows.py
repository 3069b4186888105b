"""Clips, captions and images of a training's rows, encoded as its options say; the encoders leave memory afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from ...backbones.devices import fast_dtype
from ...backbones.latent_format import LatentFormat
from ...errors import VideoAlignError
from ...files.atomic_file import write_text
from ..data_config import EncodedData, EncoderFiles
from ..loop.processes import process_state
from .buckets import Bucket
from .build import build_cache
from .cache import CacheRow, LatentCache
from .contents import cache_from_contents
from .encoders import Encoders
from .printed_tenths import PrintedTenths

LEFT_OUT = "left_out.txt"
"""In the output folder: each row that the training does without, and why."""
_SHOWN = 5


def encode_rows(
    rows: Iterable[CacheRow],
    data: EncodedData,
    encoders: Encoders,
    output: Path,
    *,
    latent_format: LatentFormat | None = None,
    image_entries: Sequence[str] = (),
    prompts: Iterable[str] = (),
    pictures: Iterable[Path] = (),
) -> LatentCache:
    """A cache with every clip and caption of the rows; several processes encode it together.

    Args:
        output: of the training; the cache is a folder in it unless ``data.cache`` names another.
        latent_format: what the network reads, where that is known already: a size that it cannot have is then an error
            before anything is encoded.
        image_entries: what the network needs of each row's image.
        prompts, pictures: further captions and images to encode.

    Raises:
        VideoAlignError: more than half of the rows have a clip that cannot be used (see ``build_cache``), or an image encoder
            is needed and not given. Up to half are left out: the caller takes ``cache.kept(rows)``.
    """
    state = process_state()
    buckets = buckets_of(data)
    if data.cache_only:
        cache = cache_from_contents(
            data.cache or output / "cache",
            rows,
            buckets,
            prompts,
            image_entries=image_entries,
            identities=encoders.known_identities(),
        )
        if state.is_main_process:
            _tell_left_out(cache, output / LEFT_OUT)
        return cache
    if latent_format is not None:
        for bucket in buckets:
            latent_format.shape(bucket.frames, bucket.height, bucket.width)
    cache = build_cache(
        data.cache or output / "cache",
        rows,
        buckets,
        encoders,
        prompts,
        image_entries=image_entries,
        pictures=pictures,
        main=state.is_main_process,
        wait=state.wait_for_everyone,
        progress=PrintedTenths() if state.is_main_process else None,
    )
    if state.is_main_process:
        _tell_left_out(cache, output / LEFT_OUT)
    return cache


def _tell_left_out(cache: LatentCache, file: Path) -> None:
    causes = list(cache.left_out.values())
    if not causes:
        file.unlink(missing_ok=True)
        return
    write_text(file, "".join(cause + "\n" for cause in causes))
    more = [f"and {len(causes) - _SHOWN} more, all of them in {file}"] if len(causes) > _SHOWN else []
    print(f"Rows left out: {len(causes)}", *causes[:_SHOWN], *more, sep="\n  ", file=sys.stderr)


def encoders_of(files: EncoderFiles) -> Encoders:
    """The encoders that the options name, on this process's device; nothing is loaded yet."""
    state = process_state()
    fast = fast_dtype(state.device)
    text_dtype = None if fast == torch.float32 else fast
    return Encoders(
        files.vae, files.text_encoder, state.device, text_dtype, image_encoder=files.image_encoder,
        text_bits=files.text_encoder_bits,
    )  # fmt: skip


def buckets_of(data: EncodedData) -> list[Bucket]:
    """The size that the options give, and the further ones."""
    return [Bucket(data.width, data.height, data.frames, data.fps), *map(Bucket.parse, data.buckets)]


def check_latent_space(cache: LatentCache, latent_format: LatentFormat, vae: Path, network: Path) -> None:
    """Raise VideoAlignError where the VAE made other latents than the network reads."""
    if cache.latent_format != latent_format.name:
        raise VideoAlignError(
            f"{vae} makes {cache.latent_format} latents; {network} reads {latent_format.name}. "
            "Give the VAE of the same model."
        )
