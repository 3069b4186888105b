"""What goes wrong with one clip is that clip's error, and the others go on: the rule for all who work through many clips.

Not a clip's fault: a full disk, no descriptors left, an interruption, and a mistake of the program in what does not read clips.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ClipError, FileError, VideoAlignError, is_out_of_memory

_OF_THE_MACHINE = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EMFILE, errno.ENFILE}


@contextmanager
def reading(name: object) -> Iterator[None]:
    """Around whatever decodes, resizes and measures the clip ``name``: any fault of it leaves as a ClipError that names it.

    Raises:
        ClipError: anything went wrong that is not the machine's state. Errors that users can act on leave as they are.
        FileError: the machine's state would keep every other clip from being read as well.
    """
    try:
        yield
    except VideoAlignError:
        raise
    except Exception as error:
        if is_of_the_machine(error):
            raise FileError(
                f"{name} cannot be read, nor could any other clip ({error}). Make room, or close programs."
            ) from error
        if is_out_of_memory(error):
            raise too_large(name, error) from error
        if not isinstance(error, OSError):
            raise ClipError(
                f"{name} cannot be read ({type(error).__name__}: {error}). If players show it, please report it."
            ) from error
        raise ClipError(
            f"{name} cannot be read ({error}). Check the path, the permissions and the connection."
        ) from error


@contextmanager
def computing(name: object) -> Iterator[None]:
    """Around a model that works on the clip ``name``: only where the clip does not fit into memory, that is its fault.

    Raises:
        ClipError: it does not fit.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise too_large(name, error) from error


def is_of_the_machine(error: BaseException) -> bool:
    """Whether an error, FFmpeg's among them, is no clip's: the disk is full, or there are too many open files."""
    return getattr(error, "errno", None) in _OF_THE_MACHINE


def too_large(name: object, error: BaseException) -> ClipError:
    """The error of a clip that does not fit into memory."""
    return ClipError(
        f"{name} does not fit into memory ({error}). Make it smaller or shorter, look at fewer or smaller frames, or use another device."
    )
