"""Files of JSON lines that grow and survive kill -9: a line is on the disk before anybody is told so.

A last line that a killed writer left half-written is cut off before the next one is written, and left out when reading. A
damaged line elsewhere is left out too, and its number told, so that who reads can say it or refuse the file.

With a checksum, a line ends in the key ``crc32`` over all that stands before it: a flipped bit is never taken for a value.
That is for journals that only this program reads. Files that people and other programs read (choices.jsonl, log.jsonl,
clips.jsonl when it is finished) have none. Lines without a checksum are read as long as no line before them has one, so
that the journals of earlier versions go on.
"""

from __future__ import annotations

import json
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .atomic_file import not_written, sync_folder, write_text
from .file_lock import locked

_CHECKED = re.compile(rb'(.*), "crc32": "([0-9a-f]{8})"\}', re.DOTALL)
_BLOCK = 1 << 16
_MARK = b"\xef\xbb\xbf"  # byte order mark, which some editors write


class Line(NamedTuple):
    """A whole line: its number in the file, its text as it stands there, and what it says (without the checksum)."""

    number: int
    text: str
    record: dict[str, Any]


class Content(NamedTuple):
    """What a journal holds: its whole lines, and the numbers of those that are damaged."""

    lines: list[Line]
    damaged: list[int]

    @property
    def records(self) -> list[dict[str, Any]]:
        """What the whole lines hold, in order."""
        return [line.record for line in self.lines]

    def report(self, path: Path) -> None:
        """Say on standard error how many lines were left out, if there are any."""
        if self.damaged:
            count, first = len(self.damaged), self.damaged[0]
            what = "1 damaged line is" if count == 1 else f"{count} damaged lines are"
            print(
                f"{path}: {what} left out (the first is line {first}); what they told is done again.", file=sys.stderr
            )


def append_records(path: Path | str, records: Iterable[Mapping[str, Any]], checksum: bool = False) -> None:
    """Append lines, one writer at a time, and wait until the disk has them; the file is made with the first.

    Raises:
        FileError: the file cannot be written, or the disk is full; what was there before is whole.
    """
    append_text(path, "".join(_text(record, checksum) + "\n" for record in records))


def append_text(path: Path | str, text: str, lines: bool = True) -> None:
    """Append whole lines of text, one writer at a time, and wait until the disk has them.

    Args:
        lines: the file is of JSON lines: half a line at its end is cut off. Other text is only given its line's end.

    Raises:
        FileError: the file cannot be written, or the disk is full; what was there before is whole.
    """
    path = Path(path)
    content = text.encode("utf-8", "backslashreplace")
    with locked(path):
        try:
            new = not path.exists()
            with path.open("ab" if new else "r+b") as file:
                end = 0 if new else _mended_end(file) if lines else file.seek(0, os.SEEK_END)
                gap = b"" if end == 0 or _byte(file, end - 1) == b"\n" else b"\n"
                file.seek(end)
                try:
                    file.write(gap + content)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(end)  # half a line is worth nothing
                    raise
            if new:
                sync_folder(path.parent)
        except OSError as error:
            raise not_written(path, error) from error


def rewrite_records(path: Path | str, records: Iterable[Mapping[str, Any]], checksum: bool = False) -> None:
    """Put these lines in the place of a file's content: the old file or the new one is there at any time.

    Raises:
        FileError: it cannot be written.
    """
    with locked(path):
        write_text(path, "".join(_text(record, checksum) + "\n" for record in records))


def keep_records(path: Path | str, wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Drop the lines that are damaged or not wanted; the others stay as they are, to the letter.

    Raises:
        FileError: it cannot be written.
    """
    with locked(path):
        kept = [line.text for line in read_journal(path).lines if wanted(line.record)]
        if Path(path).exists():
            write_text(path, "".join(text + "\n" for text in kept))


def read_journal(path: Path | str) -> Content:
    """What a journal holds; nothing if there is no such file. A half-written last line is not damage: it was never told.

    Raises:
        OSError: it cannot be read.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return Content([], [])
    *whole, last = content.removeprefix(_MARK).split(b"\n")
    lines, damaged, checked = [], [], False
    for number, raw in enumerate([*whole, last], 1):
        if not raw.strip():
            continue
        match = _CHECKED.fullmatch(raw.rstrip(b"\r"))
        record = None
        if match is None:
            record = None if checked else _record(raw)
            if record is not None and _had_checksum(record):
                record = None
        elif int(match[2], 16) == zlib.crc32(match[1]):
            record, checked = _record(match[1] + b"}"), True
        if record is not None:
            lines.append(Line(number, raw.decode("utf-8", "replace").rstrip("\r"), record))
        elif number <= len(whole):
            damaged.append(number)
    return Content(lines, damaged)


def _text(record: Mapping[str, Any], checksum: bool) -> str:
    text = json.dumps(record, ensure_ascii=False)
    if not checksum:
        return text
    start = text[:-1]
    return f'{start}, "crc32": "{zlib.crc32(start.encode("utf-8", "backslashreplace")):08x}"}}'


def _record(raw: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(raw.decode())
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _had_checksum(record: dict[str, Any]) -> bool:
    """Whether this was a line with a checksum, in whose key or digits a bit was flipped."""
    last = next(reversed(record), "")
    differing = sum(ours != theirs for ours, theirs in zip(last, "crc32", strict=False))
    return len(last) == len("crc32") and differing <= 1 and isinstance(record[last], str)


def _mended_end(file: Any) -> int:
    """Where the next line begins: behind the last whole line, whatever half a line follows it."""
    end = file.seek(0, os.SEEK_END)
    start, tail = end, b""
    while start > 0 and b"\n" not in tail:
        step = min(_BLOCK, start)
        start -= step
        file.seek(start)
        tail = file.read(step) + tail
    last = tail[tail.rfind(b"\n") + 1 :]
    if not last or _record(last.removeprefix(_MARK)) is not None:
        return end
    file.truncate(end - len(last))
    return end - len(last)


def _byte(file: Any, position: int) -> bytes:
    file.seek(position)
    return file.read(1)
