"""Measures how the shapes move, from the track of their common centre, and how the whole picture's brightness flickers.

Degrees have the unit of the faults' degrees: 0 none, 1 unmistakable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .faults import (
    FLICKER_GAIN,
    FLICKER_LEVELS,
    FREEZE_SHARE,
    JITTER_STEP,
    SLOW_SHARE,
    SURGE_PERIOD,
    SURGE_SPEED,
    TELEPORT_STEP,
)
from .scene import DIRECTIONS, SPEED_RANGE

USUAL_SPEED = sum(SPEED_RANGE) / 2  # world units a second
STILL = 0.3  # of the normal speed
MIN_TRAVEL = 1.5  # world units over the clip; less has no direction


@dataclass(frozen=True)
class MotionMeasurement:
    """How a clip moves.

    Attributes:
        direction: name of the nearest direction of the net movement, or None where there is none.
        speed: of the net movement, in world units a second.
        jitter, teleport, freeze, surge, slow, fast, flicker, missing: degrees from 0 to 1. `fast` and `missing` (shapes
            that are gone in some frames) do not occur as faults, but a generative model may show them.
    """

    direction: str | None
    speed: float
    jitter: float
    teleport: float
    freeze: float
    surge: float
    slow: float
    fast: float
    flicker: float
    missing: float

    @property
    def degree(self) -> float:
        """All faults together, 0 to 1."""
        path = self.jitter + self.teleport + self.freeze + self.surge + self.slow + self.fast
        return min(1.0, path + self.flicker + self.missing)


def measure_motion(
    track: np.ndarray, brightness: np.ndarray, fps: float, track_noise: float = 0.0
) -> MotionMeasurement:
    """Measure a clip's motion.

    Args:
        track: [T, 2] centre (x, y) of the shapes in world units, NaN where there is none; T at least 5.
        brightness: [T] level of the ground, 0 to 255.
        fps: frames a second.
        track_noise: standard deviation of the error of the track's coordinates, in world units.
    """
    flicker = flicker_degree(brightness)
    seen = np.isfinite(track[:, 0])
    missing = 1 - float(seen.mean())
    if seen.sum() < 3:
        return MotionMeasurement(None, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, flicker, missing)
    frames = np.arange(len(track))
    track = np.stack([np.interp(frames, frames[seen], track[seen, axis]) for axis in (0, 1)], axis=1)

    # Means of three frames: most of the jitter cancels, and teleports return before the end.
    net = (track[-3:].mean(axis=0) - track[:3].mean(axis=0)) * (len(track) - 1) / (len(track) - 3)
    unit = np.asarray(list(DIRECTIONS.values()))
    nearest = int((unit @ net).argmax())
    forward = unit[nearest]
    travel = float(np.linalg.norm(net))
    speed = travel * fps / (len(track) - 1)

    usual_step = USUAL_SPEED / fps
    steps = np.diff(track, axis=0)
    along, across = steps @ forward, steps @ forward[::-1]
    # Slow shapes do not stand still: what counts is the speed that the clip itself has on average.
    pace = np.clip(travel / len(steps), 0.25 * usual_step, usual_step)
    still = np.linalg.norm(steps, axis=1) < STILL * pace
    jump, teleport, pause = _jumps(steps, along, net / len(steps), usual_step)
    pause = max(pause, _longest_run(still))

    # Jitter and surging are read from what lies between jumps and pauses.
    even = ~jump & ~still
    calm = even if even.sum() >= 4 else ~jump if (~jump).any() else np.ones_like(jump)
    wobble = np.var(across[calm])
    if calm.sum() >= 8 and calm.all():
        # Differences of high order see jitter along the way too, and hardly the slower surging: a second opinion.
        wobble = 0.5 * (wobble + np.mean(np.diff(along, n=3) ** 2) / 35)
    wobble = max(0.0, wobble - 2 * track_noise**2)
    jitter = np.sqrt(wobble) / JITTER_STEP

    filled = np.where(calm, along, np.median(along[calm]))
    period = max(fps * SURGE_PERIOD, 3.0)  # frames; fewer could not show it
    span = round(3 / 8 * period)
    gain = np.sin(np.pi * span / period) / np.sin(np.pi / period)
    # Over three eighths of a second jitter does not add up, and surging does.
    moved = np.convolve(filled, np.ones(span), "valid")
    swing = np.sqrt(max(0.0, np.var(moved) - 1.5 * wobble - 2 * track_noise**2)) / gain
    surge = swing / (SURGE_SPEED * usual_step / np.sqrt(2))

    relative = speed / USUAL_SPEED
    return MotionMeasurement(
        direction=list(DIRECTIONS)[nearest] if travel >= MIN_TRAVEL else None,
        speed=speed,
        jitter=_unit(jitter),
        teleport=_unit(teleport / TELEPORT_STEP),
        freeze=_unit(pause / (FREEZE_SHARE * len(still))) if pause > 1 else 0.0,
        surge=_unit(surge),
        slow=_unit((0.95 - relative) / (0.95 * SLOW_SHARE)),
        fast=_unit(relative - 1.2),
        flicker=flicker,
        missing=missing,
    )


def _jumps(
    steps: np.ndarray, along: np.ndarray, mean_step: np.ndarray, usual_step: float
) -> tuple[np.ndarray, float, int]:
    """Which steps are jumps [T - 1], the mean length of the two largest, and the longest pause that a jump ends."""
    moved = np.linalg.norm(steps - mean_step, axis=1)
    jump = moved > 3.0 + 2.5 * np.median(moved)
    lengths, longest = [], 0
    for i in np.flatnonzero(jump):
        # A jump ahead by as much as was missed while standing still only catches up: it belongs to the freeze.
        missed = round(moved[i] / usual_step)
        before = along[max(0, i - missed) : i]
        if along[i] > 0 and len(before) >= 2 and np.median(before) < STILL * usual_step:
            longest = max(longest, len(before))
        else:
            lengths.append(moved[i])
    return jump, float(np.mean(sorted(lengths)[-2:])) if lengths else 0.0, longest


def flicker_degree(brightness: np.ndarray) -> float:
    """Degree of flicker from the ground's level in each frame."""
    low, high = np.quantile(brightness, [0.12, 0.88])
    # On a white ground the bright half of the flicker is clipped, and only the dark half can be measured.
    middle = np.median(brightness[brightness >= 0.5 * (low + high)]) if high > 250 else 0.5 * (low + high)
    middle = min(middle, 226.0)
    return _unit((middle - low) / (0.88 * (FLICKER_GAIN * middle + FLICKER_LEVELS)))


def _longest_run(flags: np.ndarray) -> int:
    best = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        best = max(best, run)
    return best


def _unit(value: float) -> float:
    return min(1.0, max(0.0, float(value)))
