"""What an image-to-video Wan gets beside the noisy latents: its first frame as latents, and as CLIP's tokens.

The clip begins with the image. Formats: Wan's own code, diffusers' WanImageToVideoPipeline and ComfyUI agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import VideoAlignError
from .backbone import Backbone

if TYPE_CHECKING:
    from .image_encoder import ImageEncoder
    from .vae import VAE

IMAGE_ENTRIES = ("image_latents", "image_embeds")
"""Entries of a conditioning that an image makes (see conditioning.py)."""
MASK_CHANNELS = 4  # one for each of the four frames that a latent frame stands for


def image_entries(backbone: Backbone, name: str) -> tuple[str, ...]:
    """The entries of ``IMAGE_ENTRIES`` that a network needs; none for text-to-video networks.

    Args:
        name: what error messages call the network.

    Raises:
        VideoAlignError: they cannot be made of one image.
    """
    needed = tuple(name for name in IMAGE_ENTRIES if name in backbone.needs)
    if not needed:
        return ()
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


def image_conditioning(
    entries: tuple[str, ...], image: Tensor, frames: int, vae: VAE, encoder: ImageEncoder | None
) -> dict[str, Tensor]:
    """Unbatched ``entries`` of an image [3, H, W] in -1..1, on the CPU, for clips of ``frames`` frames."""
    made = {}
    if "image_latents" in entries:
        made["image_latents"] = image_latents(vae, image.to(vae.device), frames).cpu()
    if "image_embeds" in entries:
        made["image_embeds"] = encoder.encode(image[None])[0]
    return made
