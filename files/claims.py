"""Pieces of work that several processes take one after another, each when it is done with the one before: on one computer or many.

    FOLDER/claims.jsonl            a line when a process takes a piece, when it has finished it, and when it leaves
    FOLDER/.PROCESS.alive.lock     held as long as the process lives

The system lets go of the lock of a process that dies, also by kill -9 or with its computer (a network file system's server does), and
then its pieces are free again. The folder must be one that all of them see, on a file system that has locks.

What was finished before a process came is not known from here: whoever uses this looks at the results themselves, after ``Claims``
was made, so that nothing falls between the two.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import platform
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

from .file_lock import InUseError, locked
from .journal import append_records

TABLE = "claims.jsonl"
_ALIVE = re.compile(r"\.(.+\.alive)\.lock")
_POLL = 0.25  # seconds
_numbers = itertools.count()


class Claims:
    """This process among those that share the pieces of a folder's work. To be used as a context.

    Args:
        folder: created if missing.

    Raises:
        FileError: it cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._table = folder, folder / TABLE
        name = re.sub(r"[^A-Za-z0-9-]", "-", platform.node())[:60]
        self._me = f"{name}-{os.getpid()}-{next(_numbers)}.alive"
        self._taken: dict[str, str] = {}
        self._finished: set[str] = set()
        self._left: set[str] = set()
        self._read_to = 0
        self._alive = contextlib.ExitStack()
        with locked(self._table):
            if not self._others():
                self._table.unlink(missing_ok=True)
            self._alive.enter_context(locked(folder / self._me, timeout=0))
            self._read()
            self._finished.clear()

    def __enter__(self) -> Claims:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._alive.close()
        with contextlib.suppress(OSError):
            _lock_of(self._folder, self._me).unlink()

    def take(self, pieces: Iterator[str]) -> str | None:
        """The next of ``pieces`` that nobody has, which this process has now; None where others have all that are left."""
        with locked(self._table):
            self._read()
            for piece in pieces:
                if piece not in self._finished and piece not in self._taken:
                    self._write({"take": piece})
                    return piece
        return None

    def finish(self, piece: str) -> None:
        """This process's piece is done, and its result is where others find it."""
        with locked(self._table):
            self._write({"done": piece})

    def given_back(self, pieces: Iterable[str]) -> bool:
        """Wait until others have finished the pieces that they have; True where one of them died and its pieces can be taken."""
        waiting = list(pieces)
        while True:
            with locked(self._table):
                self._read()
                waiting = [piece for piece in waiting if piece not in self._finished]
                owners = {self._taken[piece] for piece in waiting if piece in self._taken} - {self._me}
                dead = {owner for owner in owners if not self._lives(owner)}
                for piece in [piece for piece in waiting if self._taken.get(piece) in dead]:
                    del self._taken[piece]
                if dead or any(piece not in self._taken for piece in waiting):
                    return True
            if not owners:
                return False
            time.sleep(_POLL)

    def leave(self) -> bool:
        """Nothing more is taken; returns whether nobody else is left, who then has to put the results together."""
        with locked(self._table):
            self._read()
            self._write({"left": self._me})
            return not self._others()

    def _write(self, record: dict[str, str]) -> None:
        append_records(self._table, [{**record, "by": self._me}])
        self._read()

    def _read(self) -> None:
        """Take in the lines that are new; the table is locked."""
        with contextlib.suppress(FileNotFoundError), self._table.open("rb") as file:
            file.seek(self._read_to)
            whole, newline, _ = file.read().rpartition(b"\n")
            self._read_to += len(whole) + len(newline)
            for line in whole.splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    self._see(json.loads(line))

    def _see(self, record: dict[str, str]) -> None:
        if "take" in record:
            self._taken[record["take"]] = record["by"]
        elif "done" in record:
            self._taken.pop(record["done"], None)
            self._finished.add(record["done"])
        else:
            self._left.add(record["left"])

    def _others(self) -> list[str]:
        return [name for name in _at_work(self._folder) if name != self._me and name not in self._left]

    def _lives(self, name: str) -> bool:
        return _lives(self._folder, name)


def in_turn(claims: Claims, pieces: Sequence[str]) -> Iterator[Iterator[str]]:
    """Pieces as this process may take them, in streams: a further one where a process died that had some.

    Every piece of a stream has to be finished before the next stream is asked for.
    """
    while True:
        waiting = iter(pieces)
        yield iter(partial(claims.take, waiting), None)
        if not claims.given_back(pieces):
            return


def others_at_work(folder: Path) -> bool:
    """Whether any process shares the pieces of this folder now."""
    if not folder.is_dir():
        return False
    with locked(folder / TABLE):  # none that just begins is taken for a dead one
        return bool(_at_work(folder))


def _at_work(folder: Path) -> list[str]:
    names = [match[1] for path in folder.glob(".*.alive.lock") if (match := _ALIVE.fullmatch(path.name))]
    return [name for name in names if _lives(folder, name)]


def _lives(folder: Path, name: str) -> bool:
    if not _lock_of(folder, name).exists():  # it ended in peace
        return False
    try:
        with locked(folder / name, timeout=0):
            pass
    except InUseError:
        return True
    with contextlib.suppress(OSError):
        _lock_of(folder, name).unlink()
    return False


def _lock_of(folder: Path, name: str) -> Path:
    return folder / f".{name}.lock"
