"""A few small pictures of a clip, to recognise it by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ..clips.frames import SampledFrames, View

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
    from ..clips.frames import read_frames

    return small_pictures(read_frames(source, small_view(count, height)))


def small_view(count: int = COUNT, height: int = HEIGHT) -> View:
    """What ``small_frames`` looks at, for whoever reads the clip anyway."""
    from ..clips.frames import View

    return View(lambda total, _: spread(total, count), lambda frames: _shrunk(frames, height))


def small_pictures(frames: SampledFrames) -> np.ndarray:
    """The pictures that ``small_view`` gave: uint8 RGB [n, height, width, 3]."""
    return frames.as_bytes()


def _shrunk(frames: torch.Tensor, height: int) -> torch.Tensor:
    """RGB [n, 3, H, W], 0..255, as uint8 of that height."""
    import numpy as np
    import torch
    from PIL import Image

    pictures = frames.detach().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    width = min(max(round(pictures.shape[2] * height / pictures.shape[1]), 1), 4 * height)
    enlarged = pictures.shape[1] < height // 2  # pixel art stays crisp
    how = Image.Resampling.NEAREST if enlarged else Image.Resampling.BICUBIC
    small = [np.asarray(Image.fromarray(picture).resize((width, height), how)) for picture in pictures]
    return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2)


def spread(total: int, count: int) -> list[int]:
    """At most ``count`` different positions in 0 .. total - 1, evenly apart, both ends included."""
    if total <= count:
        return list(range(total))
    if count == 1:
        return [total // 2]
    return [round(step * (total - 1) / (count - 1)) for step in range(count)]
