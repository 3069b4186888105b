"""What the values over time come to for a clip: one number for each measurement."""

from __future__ import annotations

import numpy as np

from ..reward.judge import Dimension
from .camera import camera_velocity, shake
from .dynamic_degree import degree, is_dynamic
from .flicker import temporal_flickering
from .still_frames import duplicated_share, freeze_at_start, longest_freeze, still_share
from .thirds import drift, drop
from .trace import ClipTrace

_SHARE, _FRAMES = "share of the pixels", "share of the frames"

DIMENSIONS = (
    Dimension("flickering", "steadiness (VBench's temporal flickering)", "1 less the mean difference of neighbouring frames", 0.0, 1.0),
    Dimension("dynamic", "moves, by VBench's dynamic degree", "1 yes, 0 no", 0.0, 1.0),
    Dimension("motion", "motion", "share of VBench's threshold", 0.0, 1.0),
    Dimension("object_motion", "motion without the camera's", "share of VBench's threshold", 0.0, 1.0),
    Dimension("shake", "shaking camera", "shorter sides a second", 0.0, None, higher_is_better=False),
    Dimension("still", "frames that repeat the one before", _FRAMES, 0.0, 1.0, higher_is_better=False),
    Dimension("duplicated", "single repeated frames", _FRAMES, 0.0, 1.0, higher_is_better=False),
    Dimension("freeze", "longest standstill", "seconds", 0.0, None, higher_is_better=False),
    Dimension("late_start", "standstill at the start", "seconds", 0.0, None, higher_is_better=False),
    Dimension("sharpness", "sharpness (variance of the Laplacian)", "squared levels of 255", 0.0, None),
    Dimension("blurring", "loss of sharpness, first third to last", "share of the larger", -1.0, 1.0, higher_is_better=False),
    Dimension("crushed", "clipped shadows", _SHARE, 0.0, 1.0, higher_is_better=False),
    Dimension("blown", "clipped highlights", _SHARE, 0.0, 1.0, higher_is_better=False),
    Dimension("light_drift", "change of brightness, first third to last", "share of white", 0.0, 1.0, higher_is_better=False),
    Dimension("colour_drift", "change of saturation, first third to last", "HSV saturation", 0.0, 1.0, higher_is_better=False),
    Dimension("black", "black frames", _FRAMES, 0.0, 1.0, higher_is_better=False),
    Dimension("uniform", "frames of one colour", _FRAMES, 0.0, 1.0, higher_is_better=False),
    Dimension("cuts", "cuts", "cuts in the clip", 0.0, None, higher_is_better=False),
)  # fmt: skip
"""Each with its name, unit, range, and whether more is better."""

DETAILS = {
    "brightness": ("mean grey level", "share of white"),
    "saturation": ("mean saturation", "HSV saturation"),
    "camera_x": ("motion of the picture to the right", "shorter sides a second"),
    "camera_y": ("motion of the picture downwards", "shorter sides a second"),
}
"""What describes a clip, and of which neither more nor less is better: name -> (meaning, unit)."""


def clip_marks(trace: ClipTrace) -> dict[str, float]:
    """A number for each of ``DIMENSIONS``. VBench's decision is of all pairs, the graded ones and shake of those without a cut."""
    differences, fps = trace.differences, trace.fps
    pairs = [motion for *_, motion in trace.pairs_in_a_shot]
    light = trace.light
    return {
        "flickering": temporal_flickering(differences),
        "dynamic": float(is_dynamic([pair.fastest for pair in trace.motions])),
        "motion": degree([pair.fastest for pair in pairs]),
        "object_motion": degree([pair.fastest_object for pair in pairs]),
        "shake": shake([pair.camera for pair in pairs], trace.pairs_per_second),
        "still": still_share(differences),
        "duplicated": duplicated_share(differences),
        "freeze": longest_freeze(differences, fps),
        "late_start": freeze_at_start(differences, fps),
        "sharpness": float(np.mean(trace.sharpness)),
        "blurring": drop(trace.sharpness),
        "crushed": float(np.mean([one.crushed for one in light])),
        "blown": float(np.mean([one.blown for one in light])),
        "light_drift": drift([one.brightness for one in light]),
        "colour_drift": drift(trace.saturation),
        "black": float(np.mean([one.black for one in light])),
        "uniform": float(np.mean([one.uniform for one in light])),
        "cuts": float(len(trace.cuts)),
    }


def clip_details(trace: ClipTrace) -> dict[str, float]:
    """A number for each of ``DETAILS``."""
    camera_x, camera_y = camera_velocity([pair.camera for *_, pair in trace.pairs_in_a_shot], trace.pairs_per_second)
    return {
        "brightness": float(np.mean([one.brightness for one in trace.light])),
        "saturation": float(np.mean(trace.saturation)),
        "camera_x": camera_x,
        "camera_y": camera_y,
    }
