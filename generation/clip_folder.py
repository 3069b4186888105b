"""The folder that a generation fills: clips, the list of them, and what they were made with. Survives kill -9."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..clips.find import CLIP_LIST
from ..errors import VideoAlignError
from ..files.atomic_file import write_json
from ..files.journal import append_records, read_journal, rewrite_records
from ..files.json_text import read_json
from ..files.portable_paths import path_text
from .prompts import PromptRow

if TYPE_CHECKING:
    import numpy as np

SETTINGS = "generate.json"


@dataclass(frozen=True)
class Wanted:
    """A clip to make.

    Attributes:
        id: its name in the list.
        prompt, seed: what it is made from.
        image: what it begins with, if so.
        path: in the folder; ``videos/ID.mp4`` where it is empty.
        short: what a benchmark calls its prompt, where that is another text.
    """

    id: str
    prompt: str
    seed: int
    image: Path | None = None
    path: str = ""
    short: str | None = None

    @property
    def file(self) -> str:
        """Its path in the folder."""
        return self.path or f"videos/{self.id}.mp4"


def wanted_clips(prompts: list[PromptRow], per_prompt: int, seed: int) -> list[Wanted]:
    """The clips of all prompts: seeds ``seed`` and following for each prompt, so that two runs share them."""
    each_once = dict.fromkeys((row.prompt, row.image) for row in prompts)  # whatever else a list says of them
    return [
        Wanted(f"{number:05d}_{seed + index}", prompt, seed + index, image)
        for number, (prompt, image) in enumerate(each_once)
        for index in range(per_prompt)
    ]


class ClipFolder:
    """Clips that are finished, and the place of those to come.

    Nothing is written before ``begin`` or ``add``.

    Args:
        folder: created if missing.
        settings: what the clips depend on; a folder of other settings is refused.

    Raises:
        VideoAlignError: the folder holds clips of other settings, or a list of clips that something else made.
    """

    def __init__(self, folder: Path, settings: dict) -> None:
        self.folder = folder
        self.manifest = folder / CLIP_LIST
        self.settings = json.loads(json.dumps(settings))
        file = folder / SETTINGS
        if file.exists():
            earlier, settings = read_json(file), self.settings
            changed = sorted(name for name in {*earlier, *settings} if earlier.get(name) != settings.get(name))
            if changed:
                shown = "; ".join(f"{name} was {earlier.get(name)!r}, is {settings.get(name)!r}" for name in changed)
                raise VideoAlignError(
                    f"{folder} holds clips made with other settings ({shown}). Choose another --output, or delete it."
                )
        elif self.manifest.exists():
            raise VideoAlignError(
                f"{folder} holds a {CLIP_LIST} that videoalign generate did not write (there is no {SETTINGS}), and which it "
                "would write over. Choose another --output."
            )
        self._rows = {row["id"]: row for row in self._finished()}

    def begin(self) -> None:
        """Write down what the clips depend on; called once that is known to be there and to fit.

        Raises:
            FileError: it cannot be written.
        """
        if not (self.folder / SETTINGS).exists():
            write_json(self.folder / SETTINGS, self.settings)

    def missing(self, wanted: list[Wanted]) -> list[Wanted]:
        """Those of the wanted clips that are not finished.

        Raises:
            VideoAlignError: a finished one is of another prompt: the file of prompts was changed in between.
        """
        for clip in wanted:
            row = self._rows.get(clip.id)
            if row is not None and (row.get("seed") != clip.seed or row["path"] != clip.file):
                del self._rows[clip.id]  # no line of ours: the id says the seed, and the layout the path
            elif row is not None and row["prompt"] != clip.prompt:
                raise VideoAlignError(
                    f"{self.folder} holds a clip {clip.id} of the prompt {row['prompt']!r}, which is now {clip.prompt!r}: the file "
                    "of prompts has changed. Add new prompts at its end, choose another --output, or delete the folder."
                )
        return [clip for clip in wanted if clip.id not in self._rows]

    def read_others(self) -> None:
        """Take in the clips that other processes have finished meanwhile."""
        self._rows = {row["id"]: row for row in self._finished()} | self._rows

    @property
    def is_empty(self) -> bool:
        """Whether no clip is finished."""
        return not self._rows

    def add(self, wanted: Wanted, frames: np.ndarray, fps: float, model: str) -> Path:
        """Write a clip (uint8 [T, H, W, 3]), then list it: a listed clip is a whole one."""
        from ..clips.video_file import write_video

        relative = wanted.file
        write_video(self.folder / relative, frames, fps)
        size = {"frames": frames.shape[0], "height": frames.shape[1], "width": frames.shape[2], "fps": fps}
        row = {
            "id": wanted.id,
            "path": relative,
            "prompt": wanted.prompt,
            "seed": wanted.seed,
            **({} if wanted.image is None else {"image": path_text(wanted.image.absolute())}),
            **({} if wanted.short is None else {"prompt_shorter": wanted.short}),
            **size,
            "model": model,
        }
        append_records(self.manifest, [row], checksum=True)
        self._rows[wanted.id] = row
        return self.folder / relative

    def close(self, wanted: list[Wanted], others: bool = False) -> None:
        """Put the list of those that are there into the order of the wanted clips; without checksums.

        Args:
            others: keep clips in the list that are not wanted now, behind the others.
        """
        ids = [clip.id for clip in wanted if clip.id in self._rows]
        if others:
            ids += sorted(self._rows.keys() - set(ids))
        rewrite_records(self.manifest, [self._rows[name] for name in ids])

    def _finished(self) -> Iterator[dict]:
        """Listed clips whose files are there."""
        content = read_journal(self.manifest)
        content.report(self.manifest)
        for row in content.records:
            whole = all(isinstance(row.get(name), str) for name in ("id", "prompt", "path"))
            if whole and _is_inside(row["path"]) and os.path.isfile(self.folder / row["path"]):
                yield row


def _is_inside(path: str) -> bool:
    """Whether a listed path is one of this folder's: two names and no way out."""
    folder, _, name = path.partition("/")
    return bool(folder and name) and "/" not in name and folder not in (".", "..") and name.endswith(".mp4")
