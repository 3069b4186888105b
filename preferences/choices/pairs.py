"""Which two clips are shown next, and which of them on the left.

Both are drawn by a hash of the pair and the person: unforeseeable to the person, the same again when the page is loaded
anew, and independent between two people, so that a habit of choosing the left clip cancels out.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from .candidates import Candidate


@dataclass(frozen=True)
class ChoicePair:
    """Two clips of one prompt as one person sees them.

    Attributes:
        id: of the pair; the same for everybody, and it tells nothing about the clips.
        a, b: the clips called A (left) and B (right) on the screen.
        swapped: whether the clip that comes second in the table is A.
    """

    id: str
    a: Candidate
    b: Candidate
    swapped: bool

    @property
    def prompt(self) -> str:
        """What both clips were made from."""
        return self.a.prompt


def choice_pairs(
    candidates: Sequence[Candidate], root: Path, chooser: str = "", pairs_per_prompt: int = 0
) -> list[ChoicePair]:
    """Every two clips of one prompt (and group), in a random order, each with random sides.

    Args:
        candidates: all clips.
        root: folder that the clips' names in the pairs' ids are relative to.
        chooser: who chooses; another person sees another order.
        pairs_per_prompt: at most so many pairs of each prompt and group, the same ones for everybody; 0 for all.
    """
    groups: dict[tuple, list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault((candidate.prompt, candidate.group), []).append(candidate)
    kept = []
    for (prompt, _), group in groups.items():
        clips = {
            _name(candidate.path, root): candidate for candidate in group
        }  # a clip that is named twice is one clip
        couples = [(pair_id(prompt, one, two), clips[one], clips[two]) for one, two in combinations(clips, 2)]
        couples.sort(key=lambda couple: couple[0])
        kept += couples[: pairs_per_prompt or None]
    pairs = [_with_sides(name, first, second, chooser) for name, first, second in kept]
    return sorted(pairs, key=lambda pair: _draw("when", pair.id, chooser))


def pair_id(prompt: str, one: str, two: str) -> str:
    """A name for a pair of clips of a prompt, whichever comes first."""
    return _draw("pair", prompt, *sorted((one, two)))[:16]


def _with_sides(name: str, first: Candidate, second: Candidate, chooser: str) -> ChoicePair:
    swapped = int(_draw("side", name, chooser), 16) % 2 == 1
    return ChoicePair(name, *((second, first) if swapped else (first, second)), swapped)


def _name(path: Path, root: Path) -> str:
    """By its text alone: a folder may hold thousands of clips."""
    path, root = os.path.abspath(path), os.path.abspath(root)
    inside = path.startswith(os.path.join(root, ""))
    return Path(os.path.relpath(path, root) if inside else path).as_posix()


def _draw(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()
