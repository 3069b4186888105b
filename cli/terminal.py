"""What the commands show: whatever text of a file is in it, the terminal obeys none of it and can print all of it.

Captions, ids, paths, a LoRA's metadata and names of models come from files that others wrote. In the one place where a command
runs, ``cli.main``, standard output and standard error are put behind a stream that makes control characters visible,
so that no print and no library has to think of it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from ..errors import visible


class VisibleText:
    """A text stream that shows control characters as JSON spells them; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write; a return at the text's start is a progress bar's, one before a line's end is Windows'."""
        start = "\r" if text.startswith("\r") else ""
        lines = text[len(start) :].split("\r\n")
        self._stream.write(start + "\r\n".join(map(visible, lines)))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


NEEDLESS = ("bitsandbytes.backends.cpu.ops",)
"""Loggers that warn, as soon as their library is imported, of what no command uses: a CPU kernel for 4-bit inference."""


def leave_out_needless_warnings() -> None:
    """Keep `NEEDLESS` loggers to errors, where nobody has chosen another level."""
    for name in NEEDLESS:
        if logging.getLogger(name).level == logging.NOTSET:
            logging.getLogger(name).setLevel(logging.ERROR)


@contextlib.contextmanager
def visible_output() -> Iterator[None]:
    """Standard output and error made safe for the time of a command.

    What a terminal's encoding lacks (cp1252 on Windows) is written as an escape, where Python would stop.
    """
    before = sys.stdout, sys.stderr
    errors = [_reconfigured(stream, "backslashreplace") for stream in before]
    # pythonw and some services have no streams
    sys.stdout, sys.stderr = (None if stream is None else VisibleText(stream) for stream in before)  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream, earlier in zip(before, errors, strict=True):
            _reconfigured(stream, earlier)


def _reconfigured(stream: TextIO | None, errors: str | None) -> str | None:
    """Say what a stream does with characters that its encoding lacks; returns what it did before, if it can be told."""
    earlier = stream.errors if isinstance(stream, io.TextIOWrapper) else None
    if earlier is not None and errors is not None:
        with contextlib.suppress(OSError, ValueError):  # its reader has gone, or whoever called closed it
            stream.reconfigure(errors=errors)  # type: ignore[union-attr]
    return earlier
