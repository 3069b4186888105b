"""One conversion for each form that pixels come in: bytes 0..255, 0..1 as ComfyUI has them, -1..1 as a VAE does.

Values outside the range are clamped where they become bytes; nothing else is lost.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..errors import ClipError

# Resizing with a bicubic or Lanczos kernel and sharpening overshoot 0..1, by a quarter at an edge between black and white and by
# more where the picture is sharpened twice. Frames in -1..1 or 0..255 go further, unless they are nearly without contrast.
OVERSHOOT = 0.5


def check_unit(pixels: Tensor, name: str) -> None:
    """Whether floats are a picture in 0..1, or near enough that what shows and saves it clamps the rest.

    Args:
        pixels: float, of any shape.
        name: of the clip, for the message.

    Raises:
        ClipError: NaN, infinite, or another range.
    """
    low, high = (float(value) for value in pixels.detach().aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ClipError(f"{name} contains NaN or infinite pixels; the sampler or the VAE that made it has diverged.")
    if low < -OVERSHOOT or high > 1 + OVERSHOOT:
        hint = "pass 0..255 values as uint8" if high > 2 else "bring them into 0..1 first"
        raise ClipError(
            f"{name}: float frames must lie in 0..1, but for an overshoot of {OVERSHOOT:g}; found {low:.3g} to {high:.3g}. If that is "
            f"meant, {hint}."
        )


def unit_to_bytes(pixels: Tensor) -> Tensor:
    """Float 0..1 -> uint8 of the same shape."""
    return (pixels.float().clamp(0, 1) * 255).round().to(torch.uint8)


def bytes_to_unit(pixels: Tensor | np.ndarray) -> Tensor:
    """uint8 -> float32 0..1 of the same shape."""
    return torch.as_tensor(pixels).float() / 255


def signed_to_bytes(pixels: Tensor) -> Tensor:
    """Float -1..1 -> uint8 of the same shape."""
    return (pixels.float().clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)


def bytes_to_signed(pixels: Tensor) -> Tensor:
    """Levels 0..255, uint8 or float -> float32 -1..1 of the same shape."""
    return pixels.float() / 127.5 - 1


def as_frames(video: Tensor) -> np.ndarray:
    """What a VAE decodes, [..., 3, T, H, W] in -1..1, as frames to keep: uint8 [..., T, H, W, 3], contiguous, on the CPU.

    Raises:
        ClipError: it is not finite, which as bytes would be a black clip without a word.
    """
    if not torch.isfinite(video).all():
        raise ClipError(
            "The clip that was made is not finite (NaN or infinite): the network, a LoRA or the VAE is damaged, or its numbers are too "
            "large for its type. Check the files, or use --dtype float32."
        )
    return signed_to_bytes(video).movedim(-4, -1).cpu().contiguous().numpy()


def as_video(frames: np.ndarray) -> Tensor:
    """Inverse of ``as_frames``: uint8 [..., T, H, W, 3] -> float32 [..., 3, T, H, W] in -1..1."""
    return bytes_to_signed(torch.from_numpy(np.array(frames)).movedim(-1, -4))


def rgb_bytes(pixels: Tensor | np.ndarray) -> np.ndarray:
    """Frames in either form, [..., 3 or 4] uint8 or float 0..1, as uint8 RGB [..., 3], contiguous, on the CPU."""
    rgb = torch.as_tensor(pixels)[..., :3]
    return (unit_to_bytes(rgb) if rgb.is_floating_point() else rgb).cpu().contiguous().numpy()


def round_straight_through(value: Tensor, rounded: Tensor) -> Tensor:
    """``rounded`` in the forward pass, the gradient of ``value`` in the backward pass.

    ``value - value.detach()`` is exactly zero, so the result equals ``rounded`` to the bit;
    ``value + (rounded - value)`` would be off by an ulp.
    """
    if not value.requires_grad:
        return rounded
    return (value - value.detach()) + rounded.detach()
