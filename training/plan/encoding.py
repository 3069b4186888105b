"""What encoding a training's clips and captions takes, as its options name the encoders."""

from __future__ import annotations

from ...planning.encoding import Encoding, count_encoding
from ..data_config import EncodedData, EncoderFiles


def encoding_of(
    files: EncoderFiles, data: EncodedData, clips: int, latents: tuple[int, int, int, int], captions: int,
    caption: tuple[int, int],
) -> Encoding | None:  # fmt: skip
    """``count_encoding`` of these files and clips of this size; None where everything is in the cache.

    Raises:
        WeightsError: a file is missing, damaged, or something else.
    """
    if data.cache_only:
        return None
    size = data.frames, data.height, data.width
    return count_encoding(
        files.vae,
        files.text_encoder,
        files.image_encoder,
        size,
        clips,
        latents,
        captions,
        caption,
        files.text_encoder_bits,
    )
