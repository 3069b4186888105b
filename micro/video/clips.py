"""The clips that the micro video model learns from: of deliberately mixed quality, so that there is something to align."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ...files.atomic_file import replacing, write_json
from ...micro_world.clip import Clip, make_clip, sample_faults
from ...micro_world.faults import MOTION_FAULTS, VISUAL_FAULTS
from ...micro_world.scene import TEXT_ATTRIBUTES, change_attributes, sample_attributes, sample_scene

FAULTY_SHARE = 0.2  # of the clips, in VQ and in MQ independently
MISMATCH_SHARES = (0.95, 0.04, 0.01)  # chance that 0, 1, 2 attributes contradict the caption


def sample_video_clip(seed: int, index: int) -> Clip:
    """Clip ``index`` of an endless data set: a fifth of them spoilt in VQ, a fifth in MQ, one of twenty contradicts its caption.

    Equal seeds give equal clips, and no clip depends on another one.
    """
    rng = np.random.default_rng([seed, index])
    described = sample_attributes(rng)
    number = int(rng.choice(len(MISMATCH_SHARES), p=MISMATCH_SHARES))
    names = tuple(TEXT_ATTRIBUTES[i] for i in rng.permutation(len(TEXT_ATTRIBUTES))[:number])
    scene = sample_scene(rng, change_attributes(rng, described, names))
    faults = ()
    for kinds in (VISUAL_FAULTS, MOTION_FAULTS):
        if rng.random() < FAULTY_SHARE:
            faults += _some_faults(rng, kinds)
    return make_clip(rng, scene, faults, described)


def _some_faults(rng: np.random.Generator, kinds: tuple[str, ...]):
    while True:
        faults = sample_faults(rng, kinds)
        if faults:
            return faults


def write_shard(folder: Path, seed: int, shard: int, size: int) -> Path:
    """Render clips ``shard * size`` and following into one file of frames [size, T, H, W, 3] uint8 and one of captions.

    Does nothing when they are there. Returns the file of frames; ``read_captions`` finds the other.
    """
    frames_file = folder / f"clips_{shard:03d}.npy"
    if not frames_file.exists():
        clips = [sample_video_clip(seed, shard * size + i) for i in range(size)]
        rows = [{"caption": clip.caption, "quality": clip.quality} for clip in clips]
        write_json(frames_file.with_suffix(".json"), rows, indent=None)
        with replacing(frames_file) as part, part.open("wb") as file:
            np.save(file, np.stack([clip.frames for clip in clips]))
    return frames_file


def read_captions(frames_file: Path) -> list[dict]:
    """Caption and true quality of each clip of a shard: [{"caption": ..., "quality": {"VQ": ..., ...}}]."""
    return json.loads(frames_file.with_suffix(".json").read_text(encoding="utf-8"))
