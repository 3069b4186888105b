"""A few small pictures of a clip, to recognise it by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

HEIGHT = 120  # pixels
COUNT = 4


def small_frames(source: object, count: int = COUNT, height: int = HEIGHT) -> np.ndarray:
    """Frames spread evenly over a clip, first and last included, scaled to one height.

    Args:
        source: a path, a binary file object, or ``Frames``.
        count: how many; a shorter clip gives as many as it has.
        height: of the pictures, in pixels; their width follows, at most four times as much.

    Returns:
        uint8 RGB [n, height, width, 3].

    Raises:
        ClipError: the clip cannot be decoded.
    """
    import numpy as np
    import torch
    from PIL import Image

    from ..clips.video_decoding import decode_frames
    from ..reward.clip import Frames

    if isinstance(source, Frames):
        pixels = source.pixels[spread(source.pixels.shape[0], count)][..., :3]
        pixels = torch.as_tensor(pixels)
        if pixels.is_floating_point():
            pixels = (pixels.float().clamp(0, 1) * 255).round().to(torch.uint8)
        frames = pixels.cpu().numpy()
    else:
        frames = decode_frames(source, lambda total, _: spread(total, count)).frames
    width = min(max(round(frames.shape[2] * height / frames.shape[1]), 1), 4 * height)
    enlarged = frames.shape[1] < height // 2  # pixel art stays crisp
    how = Image.Resampling.NEAREST if enlarged else Image.Resampling.BICUBIC
    return np.stack([np.asarray(Image.fromarray(frame).resize((width, height), how)) for frame in frames])


def spread(total: int, count: int) -> list[int]:
    """At most ``count`` different positions in 0 .. total - 1, evenly apart, both ends included."""
    if total <= count:
        return list(range(total))
    if count == 1:
        return [total // 2]
    return [round(step * (total - 1) / (count - 1)) for step in range(count)]
