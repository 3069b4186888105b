"""Linear questions about a whole clip, put to a network while it learns to see; thrown away afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .answers import CHOICES, FAULTS
from .scene import TEXT_ATTRIBUTES


class Answers(Protocol):
    """What is true of a clip under a caption, as ``answers`` gives it: see fault_degrees, shown_values, contradictions."""

    faults: np.ndarray
    shown: list[int]
    wrong: list[float]


class ClipReadOuts(nn.Module):
    """How much of each fault a clip has, what it shows, and which words of its caption are wrong."""

    def __init__(self, hidden: int):
        super().__init__()
        self.faults = nn.Linear(hidden, len(FAULTS))
        self.shown = nn.ModuleList(nn.Linear(hidden, len(CHOICES[name])) for name in TEXT_ATTRIBUTES)
        self.wrong = nn.Linear(hidden, len(TEXT_ATTRIBUTES))

    def losses(self, seen: Tensor, read: Tensor, answers: Sequence[Answers]) -> dict[str, Tensor]:
        """Weighted losses by name, of hidden states [B, hidden] after the clip (``seen``) and after its caption (``read``)."""
        faults = torch.from_numpy(np.stack([answer.faults for answer in answers]))
        shown = torch.tensor([answer.shown for answer in answers])
        wrong = torch.tensor([answer.wrong for answer in answers])
        return {
            "faults": 30 * F.mse_loss(self.faults(seen), faults),
            **{
                name: 0.5 * F.cross_entropy(readout(seen), shown[:, index])
                for index, (name, readout) in enumerate(zip(TEXT_ATTRIBUTES, self.shown, strict=True))
            },
            "wrong": 2 * F.binary_cross_entropy_with_logits(self.wrong(read), wrong),
        }
