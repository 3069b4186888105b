"""From RGB frames to the patches that Qwen2-VL's vision tower reads.

Everything is differentiable: where the official pipeline rounds or clamps, the gradient passes straight through, so
that the forward value is exactly the scored one and a gradient still reaches the frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from einops import rearrange

from ..clips.pixels import round_straight_through

PATCH_SIZE = 14
TEMPORAL_PATCH_SIZE = 2
MERGE_SIZE = 2
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def resize_frames(frames: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Bicubic, antialiased resize with the rounding of an 8-bit image.

    Args:
        frames: [T, C, H, W], grey levels 0..255, uint8 or float (a float tensor may require gradients).
        size: target (height, width).

    Returns:
        float32 [T, C, height, width] holding integers 0..255; equal to the official uint8 frames.
    """
    resized = F.interpolate(frames.float(), size=size, mode="bicubic", align_corners=False, antialias=True)
    return round_straight_through(resized, resized.detach().clamp(0, 255).round())


def normalise(
    frames: torch.Tensor, mean: tuple[float, ...] = CLIP_MEAN, std: tuple[float, ...] = CLIP_STD
) -> torch.Tensor:
    """Grey levels 0..255 [T, 3, H, W] -> normalised float32 of the same shape, by the mean and deviation of each colour."""
    middle = torch.tensor(mean, dtype=torch.float32, device=frames.device)[:, None, None]
    spread = torch.tensor(std, dtype=torch.float32, device=frames.device)[:, None, None]
    # Correctly rounded division: equals the official float64 product with 1/255 for all 256 grey levels, where a
    # float32 product would be off in the last bit for a third of them.
    return (frames / 255 - middle) / spread


def normalise_bytes(frames: torch.Tensor) -> torch.Tensor:
    """``normalise`` of uint8 frames [T, 3, H, W], on any device to the bit what it is on a CPU: a GPU may divide by multiplying."""
    table = normalise(torch.arange(256.0).expand(3, 256).T[:, :, None, None])[:, :, 0, 0].to(frames.device)
    return torch.stack([table[frames[:, colour].int(), colour] for colour in range(3)], dim=1)


def patchify(frames: torch.Tensor, size: int = PATCH_SIZE) -> tuple[torch.Tensor, tuple[int, int, int]]:
    """Cut normalised frames into flattened 2 x size x size patches, the four patches of a merged token side by side.

    Args:
        frames: float [T, 3, H, W]; T even, H and W multiples of two patches.
        size: side of a patch in pixels: 14, or 16 for Qwen3-VL.

    Returns:
        patches [t * h * w, 3 * 2 * size * size] (channel-major inside a patch) and the grid (t, h, w) in patches.
    """
    patches = rearrange(
        frames,
        "(t pt) c (h mh ph) (w mw pw) -> (t h w mh mw) (c pt ph pw)",
        pt=TEMPORAL_PATCH_SIZE,
        ph=size,
        pw=size,
        mh=MERGE_SIZE,
        mw=MERGE_SIZE,
    )
    return patches, patch_grid(frames.shape, size)


def patch_grid(shape: Sequence[int], size: int = PATCH_SIZE) -> tuple[int, int, int]:
    """(t, h, w) in patches, of frames [T, 3, H, W]."""
    count, _, height, width = shape
    return count // TEMPORAL_PATCH_SIZE, height // size, width // size
