"""Folders of micro clips to choose between."""

from __future__ import annotations

import json
from pathlib import Path

from videoalign.clips.video_file import write_video
from videoalign.micro_world import ClipFormat
from videoalign.micro_world.pairs import iterate_pairs


def write_clips(folder: Path, prompts: int, clip_format: ClipFormat | None = None, seed: int = 0) -> None:
    """Two clips for each of some prompts, and their table ``clips.jsonl``."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, pair in zip(range(prompts), iterate_pairs(seed, clip_format), strict=False):
        for side, clip in (("one", pair.a), ("two", pair.b)):
            name = f"{number:03d}_{side}.mp4"
            write_video(folder / name, clip.frames, clip.fps)
            about = {"seed": number, "model": f"micro-{side}", "group": str(number), "fps": clip.fps}
            lines.append({"path": name, "prompt": pair.prompt, "num_frames": len(clip.frames), **about})
    (folder / "clips.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
