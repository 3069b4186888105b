"""A question about clips, as a Qwen-VL network reads it: pictures first, then words."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .answers import Question
from .chat_text import IMAGE_TOKEN, VIDEO_TOKEN, ChatText, Piece, chat, picture
from .family import VisionLanguageFamily
from .pictures import Pictures
from .positions import Grid


def question(
    family: VisionLanguageFamily,
    text: ChatText,
    clips: Sequence[Pictures],
    words: str,
    as_clip: bool,
    step: float,
    device: torch.device,
) -> Question:
    """The chat with all frames of ``clips`` in front of ``words``.

    Args:
        as_clip: each of ``clips`` is one clip; else each of their frames is a picture of its own.
        step: positions from one pair of frames to the next, of a clip.
        device: where the patches are made.

    Raises:
        CaptionError: the words are not valid text.
    """
    token = VIDEO_TOKEN if as_clip else IMAGE_TOKEN
    shown = [clip.grid(family, as_clip, step) for clip in clips for _ in range(1 if as_clip else len(clip.pixels))]
    content: list[Piece] = [piece for grid in shown for piece in picture(token, grid.tokens)]
    ids = text.encode(chat(family.system, [*content, words]))
    cut = [clip.patches(family, as_clip, device) for clip in clips]
    return Question(
        ids,
        _parts(ids, text.id_of(token), shown),
        torch.cat([patches for patches, _ in cut]),
        [grid for _, grids in cut for grid in grids],
        as_clip,
    )


def _parts(ids: list[int], token: int, grids: Sequence[Grid]) -> list[int | Grid]:
    """The sequence as lengths of text and grids; ``token`` stands for each token of a picture."""
    parts: list[int | Grid] = []
    done = 0
    for grid in grids:
        start = ids.index(token, done)
        parts += [start - done, grid]
        done = start + grid.tokens
    return [*parts, len(ids) - done]
