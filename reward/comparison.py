"""What compares two clips without marking either: its protocol, and what to make of its answers in both orders.

Models prefer the clip that they see first, or the second one, whatever it shows. So each pair is asked about twice, the
second time in the other order, and both answers are kept: where they name the same clip it wins; where they follow the
place and not the clip, that is position bias, and the pair is undecided.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol


class Preference(IntEnum):
    """Which of two clips is better."""

    NEITHER = 0
    FIRST = 1
    SECOND = 2

    @property
    def turned(self) -> Preference:
        """The same preference where the clips stand in the other order."""
        return {Preference.FIRST: Preference.SECOND, Preference.SECOND: Preference.FIRST}.get(self, self)


@dataclass(frozen=True)
class BothOrders:
    """One pair, asked about twice.

    Attributes:
        forwards: the answer with the clips as given.
        backwards: the answer in the other order, told of the clips as given.
        reasons: the two answers as they were written.
    """

    forwards: Preference
    backwards: Preference
    reasons: tuple[str, str] = ("", "")

    @property
    def winner(self) -> Preference:
        """The clip that both answers prefer; NEITHER where they do not agree."""
        return self.forwards if self.forwards == self.backwards else Preference.NEITHER

    @property
    def by_place(self) -> bool:
        """Both answers name a winner, and it is the one that was shown at the same place."""
        return Preference.NEITHER not in (self.forwards, self.backwards) and self.forwards != self.backwards


class ClipComparison(Protocol):
    """A model that says which of two clips is better.

    Attributes:
        name, title, licence: as of a ``Judge``.
    """

    name: str
    title: str
    licence: str

    def identity(self) -> dict:
        """See ``Judge``."""

    def prepare(self, source: object, fps: float | None = None) -> Any:
        """Read a clip and make it ready; see ``Judge``."""

    def compare(self, first: Any, second: Any, caption: str) -> BothOrders:
        """Which of two prepared clips is better for a caption, asked in both orders.

        Raises:
            VideoAlignError: they cannot be compared, or an answer cannot be read.
        """


def compared_both_ways(forwards: tuple[Preference, str], backwards: tuple[Preference, str]) -> BothOrders:
    """The two answers to one pair; ``backwards`` as it was said, of the clips in the other order."""
    return BothOrders(forwards[0], backwards[0].turned, (forwards[1], backwards[1]))


def position_bias(pairs: Iterable[BothOrders]) -> float | None:
    """How far the place decides, from -1 (always the second) to 1 (always the first); None without pairs.

    The mean, over all pairs, of +1 where both answers name the clip that was shown first, and -1 where both name the one
    shown second: 0 for whoever follows the clips.
    """
    asked = list(pairs)
    if not asked:
        return None
    signs = [(1 if pair.forwards == Preference.FIRST else -1) if pair.by_place else 0 for pair in asked]
    return sum(signs) / len(asked)
