"""One writer at a time, in this process and in all others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import FileError
from .atomic_file import not_written

WAIT_SECONDS = 60.0


class InUseError(FileError):
    """Another program holds the lock."""


@contextmanager
def locked(path: Path | str, timeout: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock of a file or folder; a thread that holds it may take it again.

    The lock is the file ``.NAME.lock`` beside it, which stays. The system lets go of the lock of a process that dies.

    Args:
        timeout: seconds to wait for another holder; 0 does not wait.

    Raises:
        InUseError: another program holds it for longer than ``timeout``.
        FileError: the folder cannot be written to.
    """
    from filelock import FileLock, Timeout  # brings asyncio, a tenth of a second

    path = Path(path).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name[:200]}.lock"), is_singleton=True)
        lock.acquire(timeout=timeout)
    except Timeout:
        raise InUseError(
            f"{path} is in use by another program (it holds {lock.lock_file}). Wait until it is done, or end it."
        ) from None
    except OSError as error:
        raise not_written(path, error) from error
    try:
        yield
    finally:
        lock.release()
