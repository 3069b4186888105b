"""Choices of a node that came by wire: ComfyUI checks those of its lists alone."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import CheckpointError


def check_choices(*choices: tuple[str, str, Sequence[str]]) -> None:
    """Refuse a value that is none of its input's.

    Args:
        choices: (name of the input, value, what can be chosen) of each.

    Raises:
        CheckpointError: one cannot be chosen.
    """
    for name, value, known in choices:
        if value not in known:
            raise CheckpointError(f"{name} is {value!r}; choose one of {', '.join(known)}.")
