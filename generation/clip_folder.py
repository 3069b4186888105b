"""The folder that a generation fills: clips, the list of them, and what they were made with. Survives kill -9."""

from __future__ import annotations

import json
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
    from ..backbones.sampling import GeneratedClip

SETTINGS = "generate.json"


@dataclass(frozen=True)
class Wanted:
    """A clip to make."""

    id: str
    prompt: str
    seed: int
    image: Path | None = None


def wanted_clips(prompts: list[PromptRow], per_prompt: int, seed: int) -> list[Wanted]:
    """The clips of all prompts: seeds ``seed`` and following for each prompt, so that two runs share them."""
    return [
        Wanted(f"{number:05d}_{seed + index}", row.prompt, seed + index, row.image)
        for number, row in enumerate(prompts)
        for index in range(per_prompt)
    ]


class ClipFolder:
    """Clips that are finished, and the place of those to come.

    Args:
        folder: created if missing.
        settings: what the clips depend on; a folder of other settings is refused.

    Raises:
        VideoAlignError: the folder holds clips of other settings.
    """

    def __init__(self, folder: Path, settings: dict) -> None:
        self.folder = folder
        self.manifest = folder / CLIP_LIST
        (folder / "videos").mkdir(parents=True, exist_ok=True)
        file = folder / SETTINGS
        settings = json.loads(json.dumps(settings))
        if file.exists():
            earlier = read_json(file)
            changed = sorted(name for name in {*earlier, *settings} if earlier.get(name) != settings.get(name))
            if changed:
                shown = "; ".join(f"{name} was {earlier.get(name)!r}, is {settings.get(name)!r}" for name in changed)
                raise VideoAlignError(
                    f"{folder} holds clips made with other settings ({shown}). Choose another --output, or delete it."
                )
        else:
            write_json(file, settings)
        self._rows = {row["id"]: row for row in self._finished()}

    def missing(self, wanted: list[Wanted]) -> list[Wanted]:
        """Those of the wanted clips that are not finished.

        Raises:
            VideoAlignError: a finished one is of another prompt: the file of prompts was changed in between.
        """
        for clip in wanted:
            row = self._rows.get(clip.id)
            if row is not None and row["prompt"] != clip.prompt:
                raise VideoAlignError(
                    f"{self.folder} holds a clip {clip.id} of the prompt {row['prompt']!r}, which is now {clip.prompt!r}: the file "
                    "of prompts has changed. Add new prompts at its end, choose another --output, or delete the folder."
                )
        return [clip for clip in wanted if clip.id not in self._rows]

    def add(self, wanted: Wanted, made: GeneratedClip, model: str) -> Path:
        """Write a clip, then list it: a listed clip is a whole one."""
        from ..clips.pixels import as_frames
        from ..clips.video_file import write_video

        relative = f"videos/{wanted.id}.mp4"
        frames = as_frames(made.video)
        write_video(self.folder / relative, frames, made.fps)
        size = {"frames": frames.shape[0], "height": frames.shape[1], "width": frames.shape[2], "fps": made.fps}
        row = {
            "id": wanted.id,
            "path": relative,
            "prompt": wanted.prompt,
            "seed": wanted.seed,
            **({} if wanted.image is None else {"image": path_text(wanted.image.absolute())}),
            **size,
            "model": model,
        }
        append_records(self.manifest, [row], checksum=True)
        self._rows[wanted.id] = row
        return self.folder / relative

    def close(self, wanted: list[Wanted]) -> None:
        """Put the list into the order of the wanted clips, whatever stops and restarts there were; without checksums."""
        rewrite_records(self.manifest, [self._rows[clip.id] for clip in wanted])

    def _finished(self) -> Iterator[dict]:
        """Listed clips whose files are there."""
        content = read_journal(self.manifest)
        content.report(self.manifest)
        for row in content.records:
            if {"id", "path", "prompt"} <= row.keys() and (self.folder / row["path"]).is_file():
                yield row
