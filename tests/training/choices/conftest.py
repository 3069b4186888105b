"""A folder of micro clips to choose between."""

from pathlib import Path

import numpy as np
import pytest
from micro_clips import write_clips

from videoalign.training.choices.session import ChoiceSession
from videoalign.training.micro_world import ClipFormat
from videoalign.training.micro_world.video_file import write_video


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three prompts with two clips each."""
    write_clips(tmp_path / "clips", 3, ClipFormat(size=32, frames=5))
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
