"""Which clips a reward model that was trained on the micro world knows."""

from __future__ import annotations

from collections.abc import Iterable

from .scene import EXAMPLE, ClipFormat, parse_caption

_KNOWN = ClipFormat()
OUTSIDE = (
    "the micro VideoReward knows only drawn clips of 64 x 64 pixels, 8 frames a second, with captions of the micro world; this one "
    "is none, and its scores mean nothing: use VideoReward itself"
)
OUTSIDE_CAPTION = (
    "the micro VideoReward knows only drawn clips of 64 x 64 pixels, 8 frames a second, with captions of the micro world's form; this "
    f"caption has another, and its scores mean nothing: write it like {EXAMPLE!r} ('one', not 'a'), or use VideoReward itself"
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
    return OUTSIDE_CAPTION if caption is not None and not is_known(caption) else None


def is_known(caption: str) -> bool:
    """Whether it has the form of the captions that the micro models were trained on; known words alone are not enough."""
    try:
        parse_caption(caption)
    except ValueError:
        return False
    return True


def unknown_captions_note(captions: Iterable[str]) -> str | None:
    """What to say before the micro video model draws captions of another form than it knows; None where there are none."""
    captions = list(dict.fromkeys(captions))
    unknown = [caption for caption in captions if not is_known(caption)]
    if not unknown:
        return None
    return (
        f"{len(unknown)} of {len(captions)} prompts have another form than the captions that the micro model and the micro reward know, "
        f"such as {unknown[0]!r}: what is drawn may not fit, and its scores mean nothing. Write them like {EXAMPLE!r} ('one', not 'a')."
    )
