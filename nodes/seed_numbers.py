"""Seeds, and steps, as they are written into a widget. Nothing here imports ComfyUI or torch."""

from __future__ import annotations

import re

from ..errors import VideoAlignError

SEEDS = 2**64
"""Seeds are 0 to one below this, as in KSampler."""


def parse_seeds(text: str, widget: str) -> tuple[int, ...]:
    """Whole numbers from 0 on, with commas, spaces or line ends between.

    Args:
        widget: what the text stands in, for the message.

    Raises:
        VideoAlignError: one of them is none.
    """
    words = [word for word in re.split(r"[\s,;]+", text) if word]
    for word in words:
        if not re.fullmatch(r"[0-9]{1,20}", word) or int(word) >= SEEDS:
            raise VideoAlignError(
                f"{widget}: {word!r} is no number from 0 on. Write whole numbers with commas between, or nothing."
            )
    return tuple(map(int, words))
