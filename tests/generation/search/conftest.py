"""Searches of the micro model by a judge of brightness."""

import numpy as np
import pytest

from videoalign.cli.main import main
from videoalign.judges import register_judge, unregister_judge
from videoalign.reward.judge import ClipMarks, Dimension, Judge

PROMPTS = ["one red circle moves left over a plain grey ground", "two blue squares move up over a plain black ground"]
STEPS = 4


class Brightness(Judge):
    """Marks a clip by its mean grey level; refuses what ``refuses`` says."""

    name = title = "brightness"
    dimensions = (Dimension("grey", "grey level", "levels"),)
    seen = 0

    def identity(self):
        return {"grey": 1}

    def prepare(self, source, fps=None):
        Brightness.seen += 1
        return source.pixels

    def score_prepared(self, clips, captions):
        return [[ClipMarks({"grey": float(np.mean(clip))}, text, len(clip), 8.0) for text in texts] for clip, texts in zip(clips, captions, strict=True)]  # fmt: skip


@pytest.fixture
def brightness():
    Brightness.seen = 0
    register_judge("brightness", lambda source, options: Brightness())
    yield Brightness
    unregister_judge("brightness")


@pytest.fixture
def search(tmp_path):
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS), encoding="utf-8")

    def call(*more, output="out"):
        size = [
            "--sampling.steps",
            STEPS,
            "--sampling.frames",
            5,
            "--device",
            "cpu",
            "--judge",
            "brightness",
            "--weight",
            "grey=1",
        ]
        words = ["search", tmp_path / "prompts.txt", "--output", tmp_path / output, *size, *more]
        return main([str(word) for word in words])

    return call
