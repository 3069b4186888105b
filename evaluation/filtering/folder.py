"""The folder of kept clips: links or copies with their captions, made and unmade so that nothing is lost.

``filter.json`` names every file that a run has put there. Only such files are ever removed or replaced, and one whose text somebody
has changed is left as it is. It is written before the first file and after the last, so that a run that was killed has left
nothing that the next one does not know.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...files.atomic_file import replacing, write_json, write_text
from ...files.json_text import read_json
from ...files.output_folder import HOLDER, LOCK_FILE
from ...files.portable_paths import MOST_CHARACTERS, file_name, plain_path
from .score_file import FilterError, ScoredRow

RECORD, CLIPS = "filter.json", "clips"
FORMAT = 1
KINDS = {"link": "links", "hard link": "hard links", "copy": "copies"}


def clip_names(rows: Sequence[ScoredRow]) -> list[str]:
    """A file name for each row, made of its clip's: unique also where letters' case does not count, and for captions beside them.

    They are given to all rows of a score file, kept or not, so that a clip has one name whatever the gates are: what trainers
    keep about a clip under its name stays right.
    """
    names: list[str] = []
    taken: set[str] = set()
    for row in rows:
        file = Path(plain_path(row.path))
        suffix, number = file.suffix.lower(), 1
        stem = file_name(file.stem, most=MOST_CHARACTERS - len(suffix) - 6)
        name = stem
        while name.casefold() in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(name.casefold())
        names.append(name + suffix)
    return names


class FilteredFolder:
    """An output folder, empty or of an earlier run.

    Args:
        folder: it; held by the caller.
        copy: copy the clips in the place of linking to them.

    Raises:
        FilterError: it holds files that are of no such run.
    """

    def __init__(self, folder: Path, copy: bool) -> None:
        self.folder, self._copy = folder, copy
        self.kinds: Counter[str] = Counter()
        self.left_alone: list[str] = []
        self._link_error = ""
        record = self._record()
        self._made: dict[str, str] = dict(record.get("made", {}))
        self._wanted: dict[str, str] = {}

    @property
    def how(self) -> str:
        """What stands for the clips there, such as "12 links", and why there are other things than links."""
        told = ", ".join(f"{count} {KINDS[kind]}" for kind, count in self.kinds.items())
        return told + (f" (links are not permitted here: {self._link_error})" if self._link_error else "")

    def check_sources(self, rows: Sequence[ScoredRow]) -> None:
        """Refuse a score file of clips that lie in the folder itself: they might be removed.

        Raises:
            FilterError: the message names the first.
        """
        inside = [os.path.realpath(self.folder), os.path.abspath(self.folder)]
        for row in rows:
            paths = (os.path.realpath(row.file), os.path.abspath(row.file))
            if any(path.startswith(folder + os.sep) for path in paths for folder in inside):
                raise FilterError(
                    f"The clip {row.file} lies in the output folder {self.folder} itself, where it might be removed. "
                    "Choose another --output."
                )

    def begin(self, clips: Sequence[str], texts: Mapping[str, str], pages: Sequence[str] = ()) -> None:
        """Say what is going to be there, and remove the clips of an earlier run that are not kept any more.

        Args:
            clips: names of the clips.
            texts: path in the folder -> content of each text: captions and lists.
            pages: further files that every run writes anew.
        """
        anew = [*(f"{CLIPS}/{name}" for name in clips), *pages]
        self._wanted = dict.fromkeys(anew, "") | {name: _digest(text) for name, text in texts.items()}
        self._check_strangers()
        self._write_record({**self._wanted, **self._made}, {})
        for name in [name for name in self._made if name not in self._wanted]:
            if self._is_ours(name):
                with contextlib.suppress(FileNotFoundError):
                    (self.folder / name).unlink()
            else:
                self.left_alone.append(name)

    def add_clip(self, source: Path, name: str) -> None:
        """Put a clip into the folder: a link; where the system permits none a hard link; else a copy.

        Raises:
            FileError: it cannot be written.
        """
        source, target = Path(os.path.realpath(source)), self.folder / CLIPS / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if self._stands_for(source, target):
            self.kinds["copy" if self._copy else "link" if target.is_symlink() else "hard link"] += 1
            return
        with contextlib.suppress(FileNotFoundError):
            target.unlink()
        for kind, link in () if self._copy else (("link", os.symlink), ("hard link", os.link)):
            try:
                link(source, target)
                self.kinds[kind] += 1
                return
            except (OSError, NotImplementedError) as error:
                if kind == "link":
                    self._link_error = getattr(error, "strerror", None) or str(error)
        with replacing(target) as temporary:
            shutil.copyfile(source, temporary)
            state = source.stat()
            os.utime(temporary, ns=(state.st_atime_ns, state.st_mtime_ns))
        self.kinds["copy"] += 1

    def add_text(self, name: str, text: str) -> None:
        """Write a text; one that somebody has changed since an earlier run wrote it is left alone.

        Raises:
            FileError: it cannot be written.
        """
        path = self.folder / name
        if path.is_file() and _content(path) == text.encode("utf-8", "backslashreplace"):
            return  # of thousands of captions most stay
        if name in self._made and path.is_file() and not self._is_ours(name):
            self.left_alone.append(name)
            return
        write_text(path, text)

    def end(self, about: Mapping[str, object]) -> None:
        """Say that all is there."""
        self._write_record(
            self._wanted | {name: self._made[name] for name in self.left_alone if name in self._made}, about
        )

    def _record(self) -> dict:
        path = self.folder / RECORD
        if not path.exists():
            self._refuse_others()
            return {}
        record = read_json(path)
        made = record.get("made") if isinstance(record, dict) else None
        if not isinstance(made, dict) or record.get("format") != FORMAT or not all(map(_is_plain, made)):
            raise FilterError(
                f"{path} is not of this version of videoalign filter, or damaged. Choose another --output."
            )
        return record

    def _refuse_others(self) -> None:
        ours = {LOCK_FILE, HOLDER}
        others = [name for name in os.listdir(self.folder) if name not in ours] if self.folder.is_dir() else []
        if others:
            raise FilterError(
                f"{self.folder} holds files that videoalign filter did not write ({sorted(others)[0]}; there is no {RECORD}). "
                "Choose another --output."
            )

    def _check_strangers(self) -> None:
        """Refuse to replace what no run of ours has made."""
        for name in self._wanted:
            if name not in self._made and os.path.lexists(self.folder / name):
                raise FilterError(
                    f"{self.folder / name} is in the way, and videoalign filter did not write it. Move it, or choose another --output."
                )

    def _is_ours(self, name: str) -> bool:
        """Whether a file is as a run left it. Clips always count as such, since nobody edits a link."""
        digest = self._made.get(name, "")
        path = self.folder / name
        return not digest or not path.is_file() or hashlib.sha256(_content(path)).hexdigest() in (
            digest, self._wanted.get(name),
        )  # fmt: skip

    def _stands_for(self, source: Path, target: Path) -> bool:
        """Whether the target is there already as it should be."""
        if not os.path.exists(target):
            return False
        if not self._copy:
            return os.path.samefile(target, source)
        state, copied = source.stat(), target.lstat()
        same = (state.st_size, state.st_mtime_ns) == (copied.st_size, copied.st_mtime_ns)
        return same and not target.is_symlink() and not os.path.samefile(target, source)

    def _write_record(self, made: Mapping[str, str], about: Mapping[str, object]) -> None:
        write_json(self.folder / RECORD, {"format": FORMAT, **about, "made": dict(made)})


def clip_list(rows: Sequence[ScoredRow], names: Sequence[str], columns: Sequence[str]) -> str:
    """``clips.jsonl``: id, path in the folder, caption, numbers and the clip's own path of each kept row."""
    lines = []
    for row, name in zip(rows, names, strict=True):
        numbers = row.numbers(columns)
        judge = {"judge": row.row.cells["judge"]} if row.row.has("judge") else {}
        line = {"id": row.id, "path": f"{CLIPS}/{name}", "prompt": row.prompt, **numbers, **judge, "source": row.path}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return "".join(lines)


def _is_plain(name: object) -> bool:
    """A path of ours, which leads nowhere else."""
    return isinstance(name, str) and ".." not in name.split("/") and not os.path.isabs(name) and "\\" not in name


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def _content(path: Path) -> bytes:
    return path.read_bytes()
