"""Errors that a user can act on. Their text names the thing, what was found, what was expected and what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

_SHOWN = 12
_OBEYED = (*range(9), *range(0x0B, 0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Control characters but for the tab and the line's end, and those that turn the direction of writing."""
_SHOWN_AS = {code: f"\\u{code:04x}" for code in _OBEYED}


def visible(text: str) -> str:
    """Text in which what a terminal would obey, such as ESC, is shown as JSON spells it: ``\\u001b``.

    JSON text stays the same JSON: outside its strings none of these may stand, but for the return before a line's end.
    """
    return text.translate(_SHOWN_AS)


class VideoAlignError(ValueError):
    """Base of the errors that this package raises on purpose; its text is meant to be shown as it is."""

    def __str__(self) -> str:
        """With paths, captions and ids in it that may come from anywhere."""
        return visible(super().__str__())


class WeightsError(VideoAlignError):
    """A model's weights are missing, damaged, incomplete, or not of a family that is supported."""


class ClipSizeError(VideoAlignError):
    """A clip's size or number of frames does not fit the strides of a VAE."""


class PromptError(VideoAlignError):
    """A prompt that a text encoder cannot encode."""


class ClipError(VideoAlignError):
    """A clip cannot be scored: unreadable, truncated, too short, not finite, or with an impossible frame rate."""


class CaptionError(VideoAlignError):
    """A caption cannot be scored: empty, not text, or too long for the model's context."""


class CheckpointError(VideoAlignError):
    """A reward checkpoint is missing, damaged, unsafe, or does not fit its own configuration."""


class GuidanceError(VideoAlignError):
    """Guidance was asked for something impossible, or the reward that should steer gave no number."""


class LoraFileError(VideoAlignError):
    """A LoRA file cannot be written or read, or does not fit the model."""


class FileError(VideoAlignError):
    """A file cannot be written or is in use by another program: a full or read-only disk, no permission."""


class TableError(VideoAlignError):
    """A table (preferences, scores, prompts, a manifest) cannot be used; the text names file, row, column and remedy."""


PreferenceFileError = TableError
"""The name of the error in preference files, which are tables like others."""


class TrainingStopped(VideoAlignError):  # noqa: N818 - reads as what happened
    """Training cannot go on; the message names the rows and says which state is kept."""


def listed(keys: Iterable[str]) -> str:
    """The first keys, and how many more there are, for the text of an error."""
    keys = list(keys)
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more


def add_note(error: BaseException, note: str) -> None:
    """Say something beside an error; as ``BaseException.add_note``, which Python 3.10 lacks."""
    error.__notes__ = [*getattr(error, "__notes__", ()), note]  # type: ignore[attr-defined]


@contextlib.contextmanager
def afterwards(cleanup: Callable[[], object]) -> Iterator[None]:
    """Run ``cleanup`` after the block, however it ends. Where the block failed, its error is the one that is raised, and what
    ``cleanup`` complains about is a note of it: on a full disk the second complaint must not bury the first.
    """
    try:
        yield
    except BaseException as cause:
        try:
            cleanup()
        except Exception as error:
            add_note(cause, f"Besides: {error}")
        raise
    cleanup()


_SAID_BY_OUT_OF_MEMORY = ("out of memory", "out_of_device_memory", "out_of_resources", "can't allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was full: the processor's, or a device's, also of a backend that says it in words only.

    torch's error is known by its name, so that torch need not be loaded.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _SAID_BY_OUT_OF_MEMORY)
