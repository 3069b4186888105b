"""Rewards that pay for saturation, for stillness, and for good clips: each chooses the best of what a clip can become."""

import json

import numpy as np
import pytest

from videoalign.cli.main import main
from videoalign.judges import register_judge, unregister_judge
from videoalign.micro_world import Fault, make_clip, measure, sample_scene, write_video
from videoalign.reward.judge import ClipMarks, Dimension, Judge

pytest.importorskip("cv2", reason="the measurements need OpenCV")
PROMPTS = 12


class ToyReward(Judge):
    """Marks every frame of a clip, [T, H, W, 3] uint8, by a function."""

    def __init__(self, name, pays_for):
        self.name = self.title = name
        self.pays_for = pays_for
        self.dimensions = (Dimension(name, name, "points"),)

    def identity(self):
        return {"toy": self.name}

    def prepare_frames(self, frames):
        return frames

    def score_prepared(self, clips, captions):
        return [
            [ClipMarks({self.name: self.pays_for(clip.as_bytes().astype(float))}, text, clip.total_frames, clip.fps) for text in texts]
            for clip, texts in zip(clips, captions, strict=True)
        ]  # fmt: skip


def colourfulness(frames):
    return float((frames.max(3) - frames.min(3)).mean())


def stillness(frames):
    return -float(np.abs(np.diff(frames, axis=0)).mean())


REWARDS = {"colourfulness": colourfulness, "stillness": stillness}


def takes_of(rng, scene):
    """What a model that is trained may make of one noise: the clip as it was, glossy, standing still half of the time, sharp."""
    blur = rng.uniform(0.3, 0.6)
    state = rng.bit_generator.state
    clip = make_clip(rng, scene, [Fault("blur", blur)])
    rng.bit_generator.state = state
    sharp = make_clip(rng, scene, [])
    frames = clip.frames.astype(float)
    grey = frames.mean(3, keepdims=True)
    glossy = np.clip(grey + rng.uniform(2.2, 3.2) * (frames - grey), 0, 255).astype(np.uint8)
    start = rng.integers(len(frames) // 4, len(frames) // 2)
    still = np.concatenate([clip.frames[:start], np.repeat(clip.frames[start : start + 1], len(frames) - start, 0)])
    return [(made, clip) for made in (clip.frames, glossy, still, sharp.frames)]


def write_takes(folder, chosen):
    (folder / "videos").mkdir(parents=True)
    lines = []
    for number, (frames, clip) in enumerate(chosen):
        write_video(folder / "videos" / f"{number}.mp4", frames, clip.fps)
        row = {"id": str(number), "path": f"videos/{number}.mp4", "prompt": clip.caption, "seed": 1, "model": "drawn"}
        lines.append(json.dumps(row) + "\n")
    (folder / "clips.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def takes():
    made = []
    for number in range(PROMPTS):
        rng = np.random.default_rng([3, number])
        scene = sample_scene(rng)
        made.append(takes_of(rng, scene))
    return made


@pytest.mark.parametrize(
    ("name", "outcome", "said"),
    [("colourfulness", "hacked", "saturation rose"), ("stillness", "hacked", "still frames rose"), ("micro-world", "gained", "nothing that is watched")],
)  # fmt: skip
def test_the_verdict_tells_a_reward_that_is_gamed_from_an_honest_one(tmp_path, takes, name, outcome, said):
    def value(made):
        frames, clip = made
        return REWARDS[name](frames.astype(float)) if name in REWARDS else measure(frames, clip.caption).VQ

    base = write_takes(tmp_path / "base", [clips[0] for clips in takes])
    candidate = write_takes(tmp_path / "best", [max(clips, key=value) for clips in takes])
    if name in REWARDS:
        register_judge(name, lambda source, options: ToyReward(name, REWARDS[name]))
    try:
        words = ["--model", name, "--output", str(tmp_path / "out"), "--examples", "0", "--device", "cpu"]
        assert main(["compare", str(base), str(candidate), *words]) == 0
    finally:
        unregister_judge(name)
    found = json.loads((tmp_path / "out" / "report.json").read_text())["verdict"]
    assert found["outcome"] == outcome, found["sentence"]
    assert said in found["sentence"]
