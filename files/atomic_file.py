"""Write a file whole or not at all: under a temporary name beside it first, on the disk, then renamed.

Whoever reads finds the old file or the new one, never a part, also after kill -9 or a power cut. What a killed writer left
behind is removed by the next process that writes into the folder.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import platform
import re
import shutil
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import FileError, VideoAlignError

REPLACE_SECONDS = 5.0
"""How long a target that another program has open is waited for; only Windows refuses to replace one."""
_FORGOTTEN = 86_400  # seconds after which a temporary file of another computer, or of any on Windows, is left over
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FULL_BYTES = 1 << 16  # a disk with less room is full
_WRITERS = ("PytorchStreamWriter", "inline_container", "os error", "I/O error")  # how torch and safetensors say it
_NAME_CHARACTERS = 40  # of the target's name in the temporary one: names end at 255 bytes

_host = f"{zlib.crc32(platform.node().encode()):08x}"
_numbers = itertools.count()
_swept: set[Path] = set()
_TEMPORARY = re.compile(r"\..*\.videoalign-([0-9a-f]{8})-(\d+)-\d+\.tmp")


@contextlib.contextmanager
def replacing(path: Path | str, kind: type[VideoAlignError] = FileError, remedy: str | None = None) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it replaces ``path``, on any error it is removed.

    The file has the permissions of the one it replaces, or those that the system gives to any new file.

    Args:
        path: its folder is made where it is missing.
        kind: the error to raise.
        remedy: what to do when it cannot be written; by default told from the cause.

    Raises:
        VideoAlignError: the folder cannot be written to, or the disk is full (as ``kind``); ``path`` is as it was before.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name[:_NAME_CHARACTERS]}.videoalign-{_host}-{os.getpid()}-{next(_numbers)}.tmp")
    try:
        mode = _begin(path, temporary)
    except OSError as error:
        raise not_written(path, error, kind, remedy) from error
    try:
        yield temporary
        _finish(temporary, path, mode)
    except Exception as error:
        libraries = isinstance(error, RuntimeError) or type(error).__name__ == "SafetensorError"
        if not (libraries or isinstance(error, OSError)) or not _is_of_writing(error, temporary, path):
            raise
        raise not_written(path, _cause(error, path), kind, remedy) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path | str, content: bytes, **options: Any) -> None:
    """Write a file whole or not at all; options and errors as in ``replacing``."""
    with replacing(path, **options) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path | str, text: str, **options: Any) -> None:
    """Write UTF-8 text whole or not at all, its line ends as they are; options and errors as in ``replacing``.

    A lone surrogate, which UTF-8 cannot hold, becomes an escape, which in JSON is the same character.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"), **options)


def write_json(path: Path | str, value: Any, indent: int | None = 1, **options: Any) -> None:
    """Write a value as JSON, whole or not at all; options and errors as in ``replacing``."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False), **options)


def not_written(
    path: Path | str, error: BaseException, kind: type[VideoAlignError] = FileError, remedy: str | None = None
) -> VideoAlignError:
    """The error to raise where a file cannot be written: what happened, and what to do about it."""
    number = getattr(error, "errno", None)
    if remedy is None:
        if number == errno.EROFS:
            remedy = "The disk is read-only: choose another folder."
        elif number in (errno.EACCES, errno.EPERM):
            remedy = "Close the program that has it open, allow writing there, or choose another folder."
        elif number in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
            remedy = "A file is where a folder should be, or the reverse: choose another name."
        else:
            remedy = (
                "Free some space and run the same command again: what is finished is kept. Or choose another folder."
            )
    return kind(f"{path} could not be written ({error}). {remedy}")


def disk_error(error: OSError) -> FileError | None:
    """The sentence for an error of the system that no writer or reader has put into words; None where it is not a file's."""
    if error.filename is None and error.errno not in _FULL | {errno.EROFS, errno.EIO}:
        return None
    if error.errno in _FULL | {errno.EROFS}:
        path = "A file" if error.filename is None else error.filename
        return FileError(str(not_written(path, error)))
    advice = {
        errno.ENOENT: "Check the path.",
        errno.EACCES: "Allow it, or choose another place.",
        errno.EPERM: "Allow it, or choose another place.",
        errno.EMFILE: "Allow more open files (ulimit -n).",
        errno.EIO: "The disk or the network behind it fails: look at it before anything else.",
    }
    what = "A file" if error.filename is None else os.fsdecode(error.filename)
    return FileError(
        f"{what} cannot be used ({error.strerror}). {advice.get(error.errno or 0, 'Choose another name or place.')}"
    )


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in a folder; systems other than POSIX ones have no such call."""
    if os.name != "posix":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        _sync(number)
    finally:
        os.close(number)


def _begin(path: Path, temporary: Path) -> int:
    """Make the empty temporary file; the mode that the finished one is to have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent not in _swept:
        _swept.add(path.parent)
        sweep(path.parent)
    with temporary.open("xb") as file:
        mode = os.fstat(file.fileno()).st_mode
    with contextlib.suppress(OSError):
        mode = path.stat().st_mode
    return mode & 0o7777


def _finish(temporary: Path, path: Path, mode: int) -> None:
    with temporary.open("r+b") as file:
        _sync(file.fileno())
    with contextlib.suppress(OSError):  # some shares know no permissions
        temporary.chmod(mode)  # a library that writes under a name of its own (safetensors) leaves 0600
    _replace(temporary, path)
    sync_folder(path.parent)


def _replace(temporary: Path, path: Path) -> None:
    """``os.replace``, tried again while another program (a scanner for viruses, a player) has the target open on Windows."""
    end = time.monotonic() + REPLACE_SECONDS
    while True:
        try:
            os.replace(temporary, path)
            return
        except PermissionError:
            if os.name != "nt" or time.monotonic() > end:
                raise
            time.sleep(0.05)


def _sync(number: int) -> None:
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (
            errno.EINVAL,
            getattr(errno, "ENOTSUP", errno.EINVAL),
        ):  # a file system that has no such thing
            raise


def _is_of_writing(error: Exception, temporary: Path, path: Path) -> bool:
    """Whether an error in the block is the disk's, not of something that the block reads or computes."""
    if isinstance(error, OSError):
        names = {None, str(temporary), str(path), temporary, path}
        return error.errno in _FULL or error.errno == errno.EROFS or error.filename in names
    return any(words in str(error) for words in _WRITERS)


def _cause(error: Exception, path: Path) -> Exception:
    """An error of torch or safetensors in the system's words, where it is known what happened: they tell of positions."""
    with contextlib.suppress(OSError):
        if not isinstance(error, OSError) and shutil.disk_usage(path.parent).free < _FULL_BYTES:
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return error


def sweep(folder: Path | str) -> None:
    """Remove the temporary files of writers that are dead, in this folder."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            if match and _is_left_over(entry, match[1], int(match[2])):
                with contextlib.suppress(OSError):
                    shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)


def _is_left_over(entry: os.DirEntry, host: str, process: int) -> bool:
    if os.name == "posix" and host == _host:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False
    # Windows' os.kill would end the process, and of other computers nothing is known
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > _FORGOTTEN
