"""What an image-to-video network is told of the image that a clip begins with.

A Wan gets the first frame as latents beside the noisy ones, and as CLIP's tokens; its own code, diffusers' WanImageToVideoPipeline and
ComfyUI agree on the formats. An LTX network gets it as the first latent frame itself (``given_frames.py``), or does without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import VideoAlignError
from .backbone import Backbone
from .given_frames import FIRST_FRAME

if TYPE_CHECKING:
    from .image_encoder import ImageEncoder
    from .vae import VAE

IMAGE_ENTRIES = ("image_latents", "image_embeds", FIRST_FRAME)
"""Entries of a conditioning that an image makes (see conditioning.py)."""
FRAME_OF_ANY_CLIP = ("image_embeds", FIRST_FRAME)
"""Those of them that do not depend on the clip's length."""
MASK_CHANNELS = 4  # one for each of the four frames that a latent frame stands for


def image_entries(backbone: Backbone, name: str, wanted: bool = False) -> tuple[str, ...]:
    """The entries of ``IMAGE_ENTRIES`` that a network is told; none for text-to-video networks.

    Args:
        name: what error messages call the network.
        wanted: there is an image. A network that can do without is told of it then only.

    Raises:
        VideoAlignError: they cannot be made of one image.
    """
    needed = tuple(name for name in IMAGE_ENTRIES if name in backbone.needs)
    if not needed:
        return backbone.optional_image if wanted else ()
    advice = "Use a Wan image-to-video model of one image, or a text-to-video model."
    if refusal := backbone.image_refusal():
        raise VideoAlignError(f"{name}: {refusal}. {advice}")
    extra = backbone.config["in_channels"] - backbone.latent_format.channels
    expected = MASK_CHANNELS + backbone.latent_format.channels
    if "image_latents" in needed and extra != expected:
        raise VideoAlignError(
            f"{name}: this {backbone.family.title} takes {extra} channels beside the noisy latents; an image-to-video one takes {expected}, a mask and "
            f"latents. {advice}"
        )
    return needed


def image_latents(vae: VAE, image: Tensor, frames: int) -> Tensor:
    """What the network gets beside x_t, channel by channel: 4 of the mask, then the latents.

    The mask is 1 at the latent frame that is given (the first) and 0 at those that are to be made. The latents are those
    of a clip that begins with the image and goes on in mid grey.

    Args:
        image: [3, H, W] RGB in -1..1.
        frames: of the clip.

    Returns:
        [4 + C, T', H', W'] float32 on the image's device; the latents normalised.

    Raises:
        ClipSizeError: frames or sides do not fit the VAE's strides.
    """
    clip = image.new_zeros(1, 3, frames, *image.shape[1:])
    clip[0, :, 0] = image
    with torch.no_grad():
        latents = vae.encode(clip)[0]
    mask = latents.new_zeros(MASK_CHANNELS, *latents.shape[1:])
    mask[:, 0] = 1
    return torch.cat([mask, latents])


def first_frame(vae: VAE, image: Tensor) -> Tensor:
    """[C, 1, H', W'] float32 on the image's device: an image [3, H, W] in -1..1 as the first latent frame of a clip, normalised.

    Raises:
        ClipSizeError: the sides do not fit the VAE's strides.
    """
    with torch.no_grad():
        return vae.encode(image[None, :, None])[0].float()


def image_conditioning(
    entries: tuple[str, ...], image: Tensor, frames: int, vae: VAE, encoder: ImageEncoder | None
) -> dict[str, Tensor]:
    """Unbatched ``entries`` of an image [3, H, W] in -1..1, on the CPU, for clips of ``frames`` frames."""
    made = {}
    if "image_latents" in entries:
        made["image_latents"] = image_latents(vae, image.to(vae.device), frames).cpu()
    if FIRST_FRAME in entries:
        made[FIRST_FRAME] = first_frame(vae, image.to(vae.device)).cpu()
    if "image_embeds" in entries:
        made["image_embeds"] = encoder.encode(image[None])[0]
    return made
