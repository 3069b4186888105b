"""Latents of several streams: a video with its sound. The one place that knows how ComfyUI carries them.

Between nodes, and in a sampler's callback, such a latent is a nested tensor whose first part is the video, [B, C, T, H, W]. A
sampler works on one tensor, [B, 1, N], in which the parts lie one behind another, each laid flat; what hangs on a model sees
that one, and learns the parts' shapes from the conditioning. Nothing here imports ComfyUI.

A video without sound may come in either form, or plain: every function takes a plain tensor as one part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import VideoAlignError

if TYPE_CHECKING:
    import torch

Shapes = Sequence[Sequence[int]]
_VIDEO = 0  # LTX-2.x and MiniMax H3 have (video, audio)


def is_nested(samples: Any) -> bool:
    """Whether a latent is ComfyUI's nested tensor."""
    return bool(getattr(samples, "is_nested", False))


def told_shapes(model_conds: Mapping[str, Any]) -> list[tuple[int, ...]] | None:
    """The shapes of the parts, as a model's conditioning tells them; None where it tells none.

    Args:
        model_conds: of one conditioning: objects with the value in ``.cond``.
    """
    shapes = getattr(model_conds.get("latent_shapes"), "cond", None)
    return None if shapes is None else [tuple(shape) for shape in shapes]


def is_packed(latents: Any, shapes: Shapes | None) -> bool:
    """Whether a tensor holds several parts one behind another.

    Args:
        shapes: of the parts, or None where none are known; the batch size in them does not matter.
    """
    if is_nested(latents) or shapes is None or len(shapes) < 2 or latents.ndim != 3:
        return False
    return latents.shape[1] == 1 and latents.shape[2] == sum(_sizes(shapes))


def parts(latents: Any, shapes: Shapes | None = None) -> list[torch.Tensor]:
    """The streams of a latent, the video first; a plain tensor is its only one. Nothing is copied.

    Args:
        latents: nested, packed ([B, 1, N], with ``shapes``) or plain.
        shapes: of the parts, where the sampler told them.

    Raises:
        VideoAlignError: there are several shapes, and the tensor is not what they pack to.
    """
    if is_nested(latents):
        return list(latents.unbind())
    if shapes is None or len(shapes) < 2:
        return [latents]
    _check_packed(latents, shapes)
    flat = latents[:, 0].split(_sizes(shapes), dim=1)
    return [part.reshape(len(latents), *shape[1:]) for part, shape in zip(flat, shapes, strict=True)]


def video_part(latents: Any, shapes: Shapes | None = None) -> torch.Tensor:
    """The video of a latent, [B, C, T, H, W]; a plain tensor is returned as it is. See ``parts``."""
    return parts(latents, shapes)[_VIDEO]


def video_shape(shape: Sequence[int], shapes: Shapes | None = None) -> tuple[int, ...]:
    """The shape of the video part of latents of this shape, [B, ...]."""
    return tuple(shape) if shapes is None or len(shapes) < 2 else (shape[0], *shapes[_VIDEO][1:])


def with_video_part(latents: Any, video: torch.Tensor, shapes: Shapes | None = None) -> Any:
    """The same latent with another video; its other parts are the same numbers, bit for bit.

    Args:
        latents: nested, packed or plain; it is not changed.
        video: of the shape of ``video_part``.
        shapes: as in ``parts``.

    Returns:
        What ``latents`` is: nested, packed or plain, in its type and on its device.

    Raises:
        VideoAlignError: as ``parts``, or the video is of another shape.
    """
    streams = parts(latents, shapes)
    if video.shape != streams[_VIDEO].shape:
        raise VideoAlignError(
            f"The video part of this latent has the shape {list(streams[_VIDEO].shape)}; {list(video.shape)} cannot be put into its "
            "place. Change its numbers only, not its size."
        )
    streams[_VIDEO] = video.to(streams[_VIDEO])
    return joined(latents, streams, shapes)


def joined(like: Any, streams: Sequence[torch.Tensor], shapes: Shapes | None = None) -> Any:
    """These parts in the form that ``like`` has: nested, packed or plain. Their batch may be another one than its.

    Args:
        like: nested, packed or plain.
        streams: as many as ``parts(like, shapes)`` gives.
        shapes: as in ``parts``.
    """
    if is_nested(like):
        return type(like)(list(streams))
    if len(streams) == 1:
        return streams[0]
    import torch

    return torch.cat([stream.reshape(len(stream), 1, -1) for stream in streams], dim=-1)


def _sizes(shapes: Shapes) -> list[int]:
    """Numbers of one sample in each part."""
    return [math.prod(shape[1:]) for shape in shapes]


def _check_packed(latents: torch.Tensor, shapes: Shapes) -> None:
    if is_packed(latents, shapes):
        return
    raise VideoAlignError(
        f"The sampler says that this latent is {len(shapes)} parts of the shapes {[list(shape) for shape in shapes]} in one tensor, but "
        f"it is {list(latents.shape)}. Another node has changed its form inside the sampler: take it out."
    )
