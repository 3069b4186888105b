"""Images of prompts: which of them an image-to-video model needs, and what it is told of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import VideoAlignError
from .clip_folder import Wanted
from .identity import file_key
from .prompts import PromptRow

if TYPE_CHECKING:
    from ..backbones.conditioning import Conditioning
    from ..backbones.sampling_defaults import SamplingDefaults
    from .pipeline import Pipeline


def check_images(network: str, rows: Sequence[PromptRow]) -> None:
    """Check that the prompts have images where the network takes one, and only there. No weights are read.

    Args:
        network: its file or folder.

    Raises:
        VideoAlignError: they do not, or the network is an image-to-video one that is not supported.
    """
    from ..backbones.image_conditioning import image_entries
    from ..backbones.loading import describe_backbone

    backbone = describe_backbone(network)
    needs_one = bool(image_entries(backbone, network))
    takes_one = needs_one or bool(backbone.optional_image)
    if not needs_one and takes_one and len({row.image is None for row in rows}) > 1:
        raise VideoAlignError(
            f"Some prompts have an image and some have none. {network} makes clips with a first image or without, but not both in one run: "
            "give two files of prompts."
        )
    for row in rows:
        if needs_one and row.image is None:
            raise VideoAlignError(
                f"{network} is an image-to-video network, and the prompt {row.prompt!r} has no image. Give the prompts as CSV "
                "or JSONL with a column image: the path of a picture, relative to the file."
            )
        if row.image is not None and not takes_one:
            raise VideoAlignError(f"{network} takes no image; remove the column image from the file of prompts.")


def image_settings(model: str, image_encoder: str | None, rows: Sequence[PromptRow]) -> dict:
    """What the clips of an image-to-video model depend on besides; nothing where no prompt has an image."""
    from ..files.digests import sampled_digest
    from .pipeline import image_encoder_file

    images = [row.image for row in rows if row.image is not None]
    if not images:
        return {}
    encoder = image_encoder_file(model, image_encoder)
    return {"images": sampled_digest(images), "image_encoder": encoder and file_key(Path(encoder))}


def images_of(
    clips: Sequence[Wanted], pipeline: Pipeline, sampling: SamplingDefaults
) -> Callable[[int], Conditioning] | None:
    """Number of a clip -> what the network is told of its image; None where it is told of none.

    Images are brought to the clips' size as training brings clips to theirs: scaled to cover it, the middle cut out.
    """
    from ..backbones.image_conditioning import image_conditioning, image_entries
    from ..training.latent_cache.buckets import Bucket
    from ..training.latent_cache.clip_pixels import read_first_frame

    entries = image_entries(pipeline.backbone, pipeline.name, wanted=any(clip.image is not None for clip in clips))
    if not entries:
        return None
    bucket = Bucket(sampling.width, sampling.height, sampling.frames, sampling.fps)

    @lru_cache(maxsize=1)  # the clips of a prompt follow each other
    def made(image: Path) -> Conditioning:
        frame = read_first_frame(image, bucket)
        return image_conditioning(entries, frame, bucket.frames, pipeline.vae, pipeline.image_encoder)

    return lambda number: made(clips[number].image)
