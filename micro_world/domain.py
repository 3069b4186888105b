"""Which clips a reward model that was trained on the micro world knows."""

from __future__ import annotations

from .scene import ClipFormat, parse_caption

_KNOWN = ClipFormat()
OUTSIDE = (
    "the micro VideoReward knows only drawn clips of 64 x 64 pixels, 8 frames a second, with captions of the micro world; this one "
    "is none, and its scores mean nothing: use VideoReward itself"
)


def outside_note(size: tuple[int, int], fps: float, caption: str | None) -> str | None:
    """What to say of a clip that such a model does not know; None for one that it may know.

    Args:
        size: (height, width) of its frames, in pixels.
        fps: frames per second of the clip.
        caption: what it is judged against.
    """
    if size != (_KNOWN.size, _KNOWN.size) or fps != _KNOWN.fps:
        return OUTSIDE
    try:
        if caption is not None:
            parse_caption(caption)
    except ValueError:
        return OUTSIDE
    return None
