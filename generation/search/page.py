"""The page of a search: of each prompt the previews with their marks, those that went on first, and the finished clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...pages.render import write_page
from ...reward.search.seed_search import Found, Look
from ..clip_folder import Wanted
from .journal import SearchJournal, preview_path


def write_search_page(
    folder: Path, results: Mapping[str, Found], finished: Sequence[Wanted], journal: SearchJournal
) -> Path:
    """Write index.html into the folder of a search.

    Args:
        finished: clips that are there.
    """
    clips = {(clip.prompt, clip.seed): clip for clip in finished}
    ids = {clip.prompt: clip.id.rpartition("_")[0] for clip in finished}
    return write_page(
        folder / "index.html",
        "search.html.j2",
        title="Seeds that were searched",
        prompts=[
            {
                "prompt": prompt,
                "early": found.ended_early,
                "finished": [clips[prompt, seed].file for seed in found.best if (prompt, seed) in clips],
                "takes": [_take(look, folder, ids.get(prompt)) for look in _last_looks(found)],
            }
            for prompt, found in results.items()
        ],
    )


def _last_looks(found: Found) -> list[Look]:
    """The last look at each seed; those that went furthest first, then by their totals."""
    last = {look.seed: look for look in found.looks}
    return sorted(
        last.values(), key=lambda look: (not look.kept, -look.step, look.total is None, -(look.total or 0.0), look.seed)
    )


def _take(look: Look, folder: Path, prefix: str | None) -> dict:
    file = preview_path(f"{prefix}_{look.seed}", look.step) if prefix else ""
    return {
        "seed": look.seed,
        "step": look.step,
        "total": "" if look.total is None else f"{look.total:+.2f}",
        "marks": "  ".join(f"{name} {mark:+.2f}" for name, mark in look.marks.items() if mark is not None),
        "out": "; ".join(look.out),
        "kept": look.kept,
        "file": file if file and (folder / file).is_file() else "",
    }
