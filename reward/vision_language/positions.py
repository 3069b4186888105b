"""Positions of text and pictures on the three axes of the Qwen-VL family (M-RoPE): time, height, width.

A text's tokens count on, on all three axes at once. A picture's tokens have their place in its grid, from the next free
position on; what follows begins after the largest one. transformers computes the same in ``get_rope_index``, whose arguments
change with its versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Grid:
    """A picture or a clip among the tokens.

    Attributes:
        t, h, w: size in tokens (in merged patches; t in pairs of frames).
        step: positions from one pair of frames to the next.
    """

    t: int
    h: int
    w: int
    step: float = 1.0

    @property
    def tokens(self) -> int:
        """How many tokens it takes."""
        return self.t * self.h * self.w


def rope_positions(parts: Sequence[int | Grid]) -> tuple[torch.Tensor, int]:
    """Positions of a sequence.

    Args:
        parts: in order: a number of text tokens, or a grid.

    Returns:
        int64 [3, L], and the position of the token that comes next.
    """
    rows, start = [], 0
    for part in parts:
        if isinstance(part, int):
            row = torch.arange(part).expand(3, -1)
        else:
            times = (torch.arange(part.t) * part.step).long()
            row = torch.stack(
                [
                    axis.flatten()
                    for axis in torch.meshgrid(times, torch.arange(part.h), torch.arange(part.w), indexing="ij")
                ]
            )
        rows.append(row + start)
        start = int(rows[-1].max()) + 1 if row.shape[1] else start
    return torch.cat(rows, 1), start
