"""Clips with their captions and their true qualities, made in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .faults import MOTION_FAULTS, VISUAL_FAULTS, Fault, faulty_path, flicker, spoil_frames, total_degree
from .render import draw_frames, to_uint8
from .scene import (
    TEXT_ATTRIBUTES,
    Attributes,
    ClipFormat,
    Scene,
    caption,
    change_attributes,
    sample_attributes,
    sample_scene,
)

FAULTLESS_SHARE = 0.4  # of the clips, in each dimension independently
DEGREE_RANGE = (0.1, 1.0)  # of the others, uniformly
TWO_FAULTS_SHARE = 0.25  # of the faulty ones: their degree is divided between two kinds
MISMATCH_SHARES = (0.4, 0.25, 0.15, 0.1, 0.1)  # chance that 0, 1, 2, 3, 4 attributes contradict the caption


@dataclass(frozen=True)
class JudgedClip:
    """A short video whose quality is known: put there, or measured.

    Attributes:
        frames: [T, H, W, 3] uint8 RGB.
        fps: frames a second.
        caption: the prompt; the clip may contradict it.
        quality: VQ, MQ and TA, 0 (faultless) to -1 (as bad as it gets).
    """

    frames: np.ndarray
    fps: float
    caption: str
    quality: dict[str, float]

    @property
    def overall(self) -> float:
        """Mean of the three qualities, 0 to -1."""
        return sum(self.quality.values()) / len(self.quality)


@dataclass(frozen=True)
class Clip(JudgedClip):
    """A drawn clip. Its VQ and MQ are minus the total degree of their faults; its TA is minus the share of colour, shape,
    direction and count, each weighing a quarter, that differ from the caption.

    Attributes:
        scene: what is truly shown.
        faults: what spoils it.
        path: [T, count, 2] where the shapes' centres are in each frame, in world units.
    """

    scene: Scene
    faults: tuple[Fault, ...]
    path: np.ndarray


def text_mismatch(shown: Attributes, described: Attributes) -> float:
    """Share of colour, shape, direction and count that differ: 0, 0.25, 0.5, 0.75 or 1. The ground is not judged."""
    differing = sum(getattr(shown, name) != getattr(described, name) for name in TEXT_ATTRIBUTES)
    return differing / len(TEXT_ATTRIBUTES)


def make_clip(
    rng: np.random.Generator,
    scene: Scene,
    faults: tuple[Fault, ...] = (),
    described: Attributes | None = None,
    clip_format: ClipFormat | None = None,
) -> Clip:
    """Render a scene with given faults; `described` (default: the scene itself) is what the caption says.

    Raises:
        ValueError: the same kind of fault twice.
    """
    clip_format = clip_format or ClipFormat()
    described = described or scene
    kinds = [fault.kind for fault in faults]
    if len(set(kinds)) < len(kinds):
        raise ValueError(f"faults {kinds} name a kind twice; give each kind one degree.")
    path = faulty_path(rng, scene, faults, clip_format)
    frames = draw_frames(scene, path, clip_format.size)
    frames = flicker(rng, frames, total_degree(faults, ("flicker",)))
    frames = spoil_frames(rng, frames, faults)
    quality = {
        "VQ": 0.0 - total_degree(faults, VISUAL_FAULTS),
        "MQ": 0.0 - total_degree(faults, MOTION_FAULTS),
        "TA": 0.0 - text_mismatch(scene, described),
    }
    return Clip(to_uint8(frames), clip_format.fps, caption(described), quality, scene, faults, path)


def sample_faults(rng: np.random.Generator, kinds: tuple[str, ...]) -> tuple[Fault, ...]:
    """Draw no fault, one, or two that share a degree, of the given kinds."""
    if rng.random() < FAULTLESS_SHARE:
        return ()
    degree = float(rng.uniform(*DEGREE_RANGE))
    first, second = rng.permutation(len(kinds))[:2]
    if rng.random() >= TWO_FAULTS_SHARE:
        return (Fault(kinds[first], degree),)
    share = float(rng.uniform(0.3, 0.7))
    return Fault(kinds[first], degree * share), Fault(kinds[second], degree * (1 - share))


def sample_mismatch(rng: np.random.Generator, described: Attributes) -> Attributes:
    """Draw what a clip shows for a caption: the described attributes, 0 to 4 of the judged ones contradicted."""
    number = int(rng.choice(len(MISMATCH_SHARES), p=MISMATCH_SHARES))
    names = [TEXT_ATTRIBUTES[i] for i in rng.permutation(len(TEXT_ATTRIBUTES))[:number]]
    return change_attributes(rng, described, tuple(names))


def sample_clip(
    rng: np.random.Generator, described: Attributes | None = None, clip_format: ClipFormat | None = None
) -> Clip:
    """Draw a clip for a caption (random by default), spoilt independently in each dimension."""
    described = described or sample_attributes(rng)
    scene = sample_scene(rng, sample_mismatch(rng, described), clip_format)
    faults = sample_faults(rng, VISUAL_FAULTS) + sample_faults(rng, MOTION_FAULTS)
    return make_clip(rng, scene, faults, described, clip_format)


def iterate_clips(seed: int, clip_format: ClipFormat | None = None) -> Iterator[Clip]:
    """Endless clips for training without files. Equal seeds give equal clips; clip i does not depend on i - 1."""
    index = 0
    while True:
        yield sample_clip(np.random.default_rng([seed, index]), clip_format=clip_format)
        index += 1
