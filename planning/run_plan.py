"""What a run will take, in parts: the same form for every trainer, for sampling and for what is made of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .cards import Card
from .counting import with_between
from .encoding import Encoding


@dataclass(frozen=True)
class Part:
    """A part of the device's memory.

    Attributes:
        name: what it is.
        size: bytes.
        said: where the figure comes from.
    """

    name: str
    size: float
    said: str


@dataclass(frozen=True)
class Way:
    """Options that need less memory than those that were given.

    Attributes:
        words: as they are written.
        needed: bytes on the device then.
        main_memory: bytes there then.
    """

    words: str
    needed: float
    main_memory: float = 0.0


def no_ways() -> Sequence[Way]:
    """No option helps."""
    return ()


@dataclass(frozen=True)
class RunPlan:
    """What a run will take.

    Attributes:
        head: what will be done, sentences.
        at_once: what the memory is for, such as "2 pairs at a time".
        parts: of the device's memory, all there at the peak.
        operations: of the whole run, counted ones.
        operations_said: sentences about them.
        main_memory: bytes that are kept there.
        encoding: what goes before, and leaves memory again; None where nothing does.
        ways: what needs less memory, the cheapest first; reckoned when a card is too small.
        smaller: room in bytes -> which smaller clips would fit, in words; None where not even that helps.
        concerns: why the run may be worth little.
        said_of: what else is told of a card that it fits on.
    """

    head: tuple[str, ...]
    at_once: str
    parts: tuple[Part, ...]
    operations: float
    operations_said: tuple[str, ...]
    main_memory: float = 0.0
    encoding: Encoding | None = None
    ways: Callable[[], Sequence[Way]] = no_ways
    smaller: Callable[[float], str | None] = lambda _room: None
    concerns: tuple[str, ...] = ()
    said_of: Callable[[Card], str] = lambda _card: ""

    @property
    def counted(self) -> float:
        """Bytes of all parts."""
        return sum(part.size for part in self.parts)

    @property
    def needed(self) -> float:
        """With what lies between, an estimate."""
        return with_between(self.counted)
