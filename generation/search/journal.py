"""Every look that was taken, kept in the output folder: a later run judges only what is new.

drafts.jsonl        a line a look: {key, prompt, seed, step, marks}, key being the judge's; with checksums, safe against kill -9
previews/ID-STEP.mp4   what was seen
search.jsonl        the looks of the present search in their order, with their ranks
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from ...files.digests import json_digest
from ...files.journal import append_records, read_journal, rewrite_records
from ...reward.search.seed_search import Found, Look, Marks
from ..clip_folder import Wanted

DRAFTS, SEARCH, PREVIEWS = "drafts.jsonl", "search.jsonl", "previews"


class SearchJournal:
    """The looks of a folder.

    Args:
        folder: of a ``ClipFolder``, which refuses one of another model or other settings.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ""
        self._known: dict[tuple, Marks] = {}

    def of(self, identity: dict) -> None:
        """Take the looks of this judge alone."""
        self._key = json_digest(identity)
        content = read_journal(self.folder / DRAFTS)
        content.report(self.folder / DRAFTS)
        for line in content.records:
            if line.get("key") == self._key and isinstance(line.get("marks"), dict):
                self._known[line.get("prompt"), line.get("seed"), line.get("step")] = line["marks"]

    def known(self, prompt: str) -> Callable[[int, int], Marks | None]:
        """Marks of an earlier run by seed and step."""
        return lambda seed, step: self._known.get((prompt, seed, step))

    def seen(self, prompt: str, clips: Mapping[int, Wanted], fps: float) -> Callable[[Look, np.ndarray | None], None]:
        """Keeps a look, and the frames that were seen."""

        def keep(look: Look, frames: np.ndarray | None) -> None:
            if frames is not None:
                from ...clips.video_file import write_video

                write_video(self.folder / preview_path(clips[look.seed].id, look.step), frames, fps)
            record = {
                "key": self._key,
                "prompt": prompt,
                "seed": look.seed,
                "step": look.step,
                "marks": dict(look.marks),
            }
            append_records(self.folder / DRAFTS, [record], checksum=True)

        return keep

    def write(self, results: Mapping[str, Found]) -> None:
        """The present search as one table."""
        rewrite_records(
            self.folder / SEARCH,
            [
                {
                    "prompt": prompt,
                    "seed": look.seed,
                    "step": look.step,
                    **look.marks,
                    "total": look.total,
                    "kept": look.kept,
                }
                | ({"out": list(look.out)} if look.out else {})
                for prompt, found in results.items()
                for look in found.looks
            ],
        )


def preview_path(name: str, step: int) -> str:
    """Of a clip's preview after a step, in the folder."""
    return f"{PREVIEWS}/{name}-{step}.mp4"
