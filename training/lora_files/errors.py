"""The error of this folder, and how it lists keys."""

from __future__ import annotations

from collections.abc import Iterable

from ...reward.errors import VideoAlignError

_SHOWN = 12


class LoraFileError(VideoAlignError):
    """A LoRA file cannot be written or read, or does not fit the model."""


def listed(keys: Iterable[str]) -> str:
    """The first keys, and how many more there are."""
    keys = list(keys)
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
