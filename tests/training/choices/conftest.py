"""A folder of micro clips to choose between."""

import json
from pathlib import Path

import numpy as np
import pytest

from videoalign.training.choices.session import ChoiceSession
from videoalign.training.micro_world import ClipFormat
from videoalign.training.micro_world.pairs import iterate_pairs
from videoalign.training.micro_world.video_file import write_video

SMALL = ClipFormat(size=32, frames=5)


def write_clips(folder: Path, prompts: int, seed: int = 0) -> None:
    """Two clips for each of some prompts, and their table."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, pair in zip(range(prompts), iterate_pairs(seed, SMALL), strict=False):
        for side, clip in (("one", pair.a), ("two", pair.b)):
            name = f"{number:03d}_{side}.mp4"
            write_video(folder / name, clip.frames, clip.fps)
            about = {"seed": number, "model": f"micro-{side}", "group": str(number), "fps": clip.fps, "num_frames": 5}
            lines.append({"path": name, "prompt": pair.prompt, **about})
    (folder / "clips.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three prompts with two clips each."""
    write_clips(tmp_path / "clips", 3)
    return tmp_path / "clips"


@pytest.fixture
def session_of(folder, tmp_path):
    """Make a session of a person in that folder."""

    def make(chooser: str = "", **options) -> ChoiceSession:
        return ChoiceSession(folder, chooser, previews=tmp_path / "previews", **options)

    return make


@pytest.fixture
def noise_clip(tmp_path):
    """Write a clip of noise; returns its path and frames."""

    def write(name: str = "noise.mp4", size: int = 32, pixel_format: str = "yuv444p"):
        block = size // 32
        noise = np.random.default_rng(0).integers(0, 256, (5, size // block, size // block, 3)).astype(np.uint8)
        frames = noise.repeat(block, 1).repeat(block, 2)
        write_video(tmp_path / name, frames, 8, pixel_format)
        return tmp_path / name, frames

    return write
