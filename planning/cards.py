"""Accelerators that people have: their memory, and how fast they multiply matrices in bfloat16."""

from __future__ import annotations

from dataclasses import dataclass

# Of the peak, what a training with gradient checkpointing reaches; an estimate, not measured.
UTILISATION = 0.4


@dataclass(frozen=True)
class Card:
    """One card.

    Attributes:
        name: as its maker calls it.
        gigabytes: of memory, 1e9 bytes.
        teraflops: dense bfloat16 with float32 sums, the maker's figure.
    """

    name: str
    gigabytes: float
    teraflops: float

    def seconds(self, operations: float) -> float:
        """An estimate of how long so many operations take."""
        return operations / (self.teraflops * 1e12 * UTILISATION)


CARDS = (
    Card("RTX 3060 12 GB", 12.9, 25.5),
    Card("RTX 4070 12 GB", 12.9, 58.3),
    Card("RTX 4060 Ti 16 GB", 17.2, 44.1),
    Card("RTX 3090 24 GB", 25.8, 71.2),
    Card("RTX 4090 24 GB", 25.8, 165.2),
    Card("RTX 5090 32 GB", 34.4, 209.5),
    Card("A100 80 GB", 85.9, 312.0),
    Card("H100 80 GB", 85.9, 989.4),
    Card("H200 141 GB", 151.4, 989.4),
)
"""Bytes are 1024**3 a gigabyte of the card's name. The makers' figures, with float32 accumulation and without sparsity (A100, H100 and H200: SXM),
are not looked up again here: hours are an estimate for more than one reason.
"""
