r"""Paths and names in files that travel: what Windows wrote is read elsewhere, and no name is written that Windows refuses.

Paths that this package writes into tables have forward slashes, which every system reads. Tables of other programs may have
been made on Windows: ``clips\a.mp4`` then means ``clips/a.mp4`` wherever that is a file and nothing is called with a backslash. Names
with accents are found whichever way Unicode lets them be spelled.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from pathlib import Path, PureWindowsPath

MOST_CHARACTERS = 100
"""Of a file's name: systems end at 255 bytes, of which a character may take four, and Windows at 260 for the whole path."""
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|clock\$|com[0-9¹²³]|lpt[0-9¹²³])(?=\.|$)", re.IGNORECASE)
_REFUSED = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\ud800-\udfff]')


def table_path(folder: Path | str, text: str) -> Path:
    """The file that a table in ``folder`` calls ``text``: absolute, from the home folder (``~``), or relative to ``folder``.

    Whether it is there is for the caller to see.
    """
    path = Path(folder) / os.path.expanduser(text)  # not Path.expanduser, which fails for ~name of nobody
    if os.path.lexists(path):
        return path
    plain = PureWindowsPath(text).as_posix() if "\\" in text and os.sep != "\\" else text
    # macOS takes an accented letter apart in some names and not in others, and finds a file under either
    for spelling in (plain, unicodedata.normalize("NFC", plain), unicodedata.normalize("NFD", plain)):
        theirs = Path(folder) / os.path.expanduser(spelling)
        if spelling != text and os.path.lexists(theirs):
            return theirs
    return path


def relative_text(path: Path | str, folder: Path | str) -> str:
    """A file's path as a table in ``folder`` keeps it: relative to that folder, with forward slashes.

    Absolute paths of what lies outside of it and those from the home folder (``~``) stay as they are, and so does what lies on another
    drive, made absolute. A folder that is moved with all that its tables name goes on.

    Args:
        path: absolute, or relative to the current folder.
    """
    text = path_text(path)
    if os.path.isabs(text):
        start = Path(folder).resolve()
        inside = Path(os.path.normpath(text))
        return path_text(inside.relative_to(start)) if inside.is_relative_to(start) else text
    if PureWindowsPath(text).is_absolute() or text.startswith("~"):
        return text
    try:
        return path_text(os.path.relpath(os.path.abspath(text), Path(folder).resolve()))
    except ValueError:  # another drive
        return path_text(os.path.abspath(text))


def path_text(path: Path | str) -> str:
    """A path as a table keeps it: with forward slashes, also where Windows wrote it."""
    return Path(path).as_posix()


def same_path(one: str, other: str) -> bool:
    """Whether two texts of one table name one file, as far as their spelling tells: ``./a.mp4``, ``a.mp4``, ``x\\..\\a.mp4``."""
    return plain_path(one) == plain_path(other)


def plain_path(text: str) -> str:
    """A table's path in one spelling: forward slashes, and no detours."""
    return path_text(os.path.normpath(PureWindowsPath(text).as_posix() if "\\" in text else text))


def file_name(text: str, ending: str = "", most: int = MOST_CHARACTERS) -> str:
    """A name for a file, made of any text, such as a person's or a model's name; other texts may give the same.

    Characters that some system refuses become ``_``; reserved words of Windows (CON, NUL, COM1) begin with one; a long name is
    cut, and a digest of the whole text put at its end.

    Args:
        ending: with its dot; kept as it is.
        most: characters with the ending.
    """
    name = _REFUSED.sub("_", text).strip(" .") or "_"
    name = re.sub(_RESERVED, lambda found: f"_{found[0]}", name, count=1) if _RESERVED.match(name) else name
    if len(name) + len(ending) > most:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        name = f"{name[: most - len(ending) - 13].rstrip(' .')}-{digest}"
    return name + ending


def refused_by_windows(name: str) -> str | None:
    """Why no file of this name could be copied to Windows, or None."""
    if _REFUSED.search(name):
        return 'it has a character that Windows does not allow: < > : " / \\ | ? * or a control character'
    if name != name.rstrip(" ."):
        return "it ends in a space or a dot"
    return "it is a word that Windows keeps for devices" if _RESERVED.match(name) else None
