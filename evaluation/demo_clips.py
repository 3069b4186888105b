"""The clips of the demo: one prompt, one faultless clip, and one for each way of going wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..micro_world import Attributes, Fault, caption, make_clip, sample_scene

PROMPT = Attributes(colour="red", shape="circle", direction="right", count=1, ground="grey", ground_kind="plain")

# name, what was done in words, faults, what is shown instead of what the prompt says
SPOILT = (
    ("clean", "Nothing was spoilt.", (), {}),
    ("noisy", "Visual fault: grain over every frame.", (("noise", 0.8),), {}),
    ("blurred", "Visual fault: out of focus.", (("blur", 0.8),), {}),
    ("teleporting", "Motion fault: the shape jumps about.", (("teleport", 0.9),), {}),
    ("frozen", "Motion fault: the motion stops midway.", (("freeze", 0.9),), {}),
    ("wrong-colour-and-way", "Text fault: another colour, another direction.", (), {"colour": "blue", "direction": "up"}),
    ("everything-wrong", "Grain, jumps and the wrong shape.", (("noise", 0.8), ("teleport", 0.9)), {"shape": "cross", "colour": "green"}),
)  # fmt: skip


@dataclass(frozen=True)
class DemoClip:
    """A clip, the prompt it is judged by, and what was done to it.

    Attributes:
        frames: uint8 [T, H, W, 3].
        fps: frames per second.
    """

    name: str
    note: str
    prompt: str
    frames: np.ndarray
    fps: float


def make_demo_clips(seed: int) -> list[DemoClip]:
    """The demo's clips; the same seed gives the same pixels."""
    clips = []
    for name, note, faults, shown in SPOILT:
        rng = np.random.default_rng(seed)
        scene = sample_scene(rng, replace(PROMPT, **shown))
        clip = make_clip(rng, scene, [Fault(kind, degree) for kind, degree in faults], PROMPT)
        clips.append(DemoClip(name, note, caption(PROMPT), clip.frames, clip.fps))
    return clips
