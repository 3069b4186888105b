"""The ways in which a clip can be spoilt, each by a degree in [0, 1]: 0 changes nothing, 1 is unmistakable.

Motion faults (MQ) change the path before it is drawn, or the brightness over time; visual faults (VQ) change the drawn
frames and leave every shape where it is. Teleports, freezes, slowness, surging and flicker are large and slow enough
in space to be seen through heavy noise; jitter is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .scene import DIRECTIONS, FRAME, MARGIN, REACH, ClipFormat, Scene

VISUAL_FAULTS = ("noise", "blur", "fade", "blocks")
MOTION_FAULTS = ("jitter", "teleport", "freeze", "surge", "slow", "flicker")

# Strength of each fault at degree 1, lengths in world units (a 64th of the frame), levels of 255.
NOISE_LEVELS = 60.0  # standard deviation
BLUR_SIGMA = 3.0
FADE_SATURATION, FADE_HAZE = 0.75, 0.3  # shares of the colour, then of the contrast, that are lost
BLOCK_SIZE, BLOCK_SHARE = 8.0, 0.85  # width of a block; share of its detail that is lost
BLOCK_LEVELS = 16.0  # standard deviation of a block's brightness error, as coarse quantisation makes
JITTER_STEP = 4.0  # length of the random displacement in each frame
TELEPORT_STEP = 20.0
FREEZE_SHARE = 0.7  # share of the clip for which everything stands still
SURGE_PERIOD, SURGE_SPEED = 1.0, 3.0  # seconds; speed varies between 1 - this and 1 + this times the normal one
SLOW_SHARE = 0.85  # share of the speed that is lost
FLICKER_GAIN, FLICKER_LEVELS = 0.3, 20.0


@dataclass(frozen=True)
class Fault:
    """One fault of a clip.

    Attributes:
        kind: one of VISUAL_FAULTS or MOTION_FAULTS.
        degree: 0 (none) to 1 (unmistakable).

    Raises:
        ValueError: an unknown kind, or a degree outside [0, 1].
    """

    kind: str
    degree: float

    def __post_init__(self):
        if self.kind not in VISUAL_FAULTS + MOTION_FAULTS:
            raise ValueError(
                f"unknown fault {self.kind!r}; choose one of {list(VISUAL_FAULTS)} (VQ) or {list(MOTION_FAULTS)} (MQ)."
            )
        if not 0 <= self.degree <= 1:
            raise ValueError(f"the degree of {self.kind} is {self.degree}; expected 0 (none) to 1 (unmistakable).")


def total_degree(faults: tuple[Fault, ...], kinds: tuple[str, ...]) -> float:
    """Sum of the degrees of the faults of given kinds, at most 1."""
    return min(1.0, sum((fault.degree for fault in faults if fault.kind in kinds), 0.0))


def faulty_path(
    rng: np.random.Generator, scene: Scene, faults: tuple[Fault, ...], clip_format: ClipFormat
) -> np.ndarray:
    """The scene's path with its motion faults: [T, count, 2] in world units.

    All shapes are displaced together. The path is moved as a whole where a fault would lead out of the frame.
    """
    degree = {fault.kind: fault.degree for fault in faults}
    times = clip_format.times
    along = np.asarray(DIRECTIONS[scene.direction])
    clock = times.copy()  # the time that the motion believes it is
    if degree.get("slow"):
        clock = clock * (1 - SLOW_SHARE * degree["slow"])
    if degree.get("surge"):
        swing = np.sin(2 * np.pi * times / SURGE_PERIOD + rng.uniform(0, 2 * np.pi))
        clock = clock + degree["surge"] * SURGE_SPEED * SURGE_PERIOD / (2 * np.pi) * swing
    if degree.get("freeze"):
        hold = degree["freeze"] * FREEZE_SHARE * clip_format.seconds
        begin = rng.uniform(0.1, 0.87 - FREEZE_SHARE * degree["freeze"]) * clip_format.seconds
        held = (times >= begin) & (times < begin + hold)
        clock[held] = np.interp(begin, times, clock)
    path = np.asarray(scene.starts)[None] + (scene.speed * clock)[:, None, None] * along

    if degree.get("teleport"):
        out = rng.uniform(0.2, 0.4) * clip_format.seconds
        back = out + rng.uniform(0.25, 0.4) * clip_format.seconds
        step = degree["teleport"] * TELEPORT_STEP
        # Sideways if there is room, so that it cannot be taken for speed; else along the lanes.
        sideways = along[::-1]
        spread = np.ptp(path @ np.abs(sideways))
        room = FRAME - 2 * (scene.diameter * REACH[scene.shape] + MARGIN) - spread
        side = sideways if room >= TELEPORT_STEP else along
        path[(times >= out) & (times < back)] += rng.choice([-1, 1]) * step * side
    if degree.get("jitter"):
        angle = rng.uniform(0, 2 * np.pi, size=len(times))
        path += degree["jitter"] * JITTER_STEP * np.stack([np.cos(angle), np.sin(angle)], axis=1)[:, None]
    return _moved_inside(path, scene.diameter * REACH[scene.shape] + MARGIN)


def flicker(rng: np.random.Generator, frames: np.ndarray, degree: float) -> np.ndarray:
    """Let the brightness of whole frames jump; frames [T, H, W, 3] float in 0..255."""
    if degree == 0:
        return frames
    # Random signs with few repeats: a run of equal signs would only be a darker clip.
    sign = np.cumprod(np.where(rng.random(len(frames)) < 0.8, -1.0, 1.0))
    swing = (degree * sign * rng.uniform(0.6, 1.0, len(frames))).astype(np.float32)[:, None, None, None]
    return frames * (1 + FLICKER_GAIN * swing) + FLICKER_LEVELS * swing


def spoil_frames(rng: np.random.Generator, frames: np.ndarray, faults: tuple[Fault, ...]) -> np.ndarray:
    """Apply the visual faults among `faults`.

    Args:
        frames: [T, size, size, 3] float in 0..255.

    Returns:
        Frames of the same shape; values may leave 0..255.
    """
    degree = {fault.kind: fault.degree for fault in faults}
    size = frames.shape[1]
    scale = size / FRAME
    if degree.get("blur"):
        frames = blur(frames, degree["blur"] * BLUR_SIGMA * scale)
    if degree.get("blocks"):
        block = round(BLOCK_SIZE * scale)
        frames = frames + degree["blocks"] * BLOCK_SHARE * (_block_means(frames, block) - frames)
        # The same error in every frame: a changing one would be flicker.
        error = rng.standard_normal((size // block, size // block), dtype=np.float32)
        error = error.repeat(block, axis=0).repeat(block, axis=1)[:, :, None]
        frames = frames + degree["blocks"] * BLOCK_LEVELS * error
    if degree.get("fade"):
        grey = frames @ np.asarray([0.299, 0.587, 0.114], np.float32)
        frames = frames + degree["fade"] * FADE_SATURATION * (grey[..., None] - frames)
        frames = frames + degree["fade"] * FADE_HAZE * (127.5 - frames)
    if degree.get("noise"):
        # Half of the grain is two pixels wide: single pixels alone would not survive video codecs and VAEs.
        t, h, w, c = frames.shape
        fine = rng.standard_normal((t, h, w, c), dtype=np.float32)
        coarse = rng.standard_normal((t, (h + 1) // 2, (w + 1) // 2, c), dtype=np.float32)
        coarse = coarse.repeat(2, axis=1).repeat(2, axis=2)[:, :h, :w]
        frames = frames + degree["noise"] * NOISE_LEVELS * np.sqrt(0.5) * (fine + coarse)
    return frames


def blur(frames: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of [..., H, W, C] by sigma pixels; the edge pixels are repeated outwards."""
    for axis in (-3, -2):
        kernel = gaussian_matrix(frames.shape[axis], sigma)
        frames = np.moveaxis(np.tensordot(kernel, frames, axes=(1, axis)), 0, axis)
    return frames


def gaussian_matrix(size: int, sigma: float) -> np.ndarray:
    """[size, size] float32 matrix that blurs a line of pixels; rows sum to 1, edges are repeated outwards."""
    if sigma <= 0:
        return np.eye(size, dtype=np.float32)
    reach = int(np.ceil(4 * sigma))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    rows = np.repeat(np.arange(size), len(taps))
    columns = np.clip(rows + np.tile(np.arange(-reach, reach + 1), size), 0, size - 1)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (rows, columns), np.tile(taps / taps.sum(), size))
    return matrix.astype(np.float32)


def _block_means(frames: np.ndarray, block: int) -> np.ndarray:
    t, h, w, c = frames.shape
    means = frames.reshape(t, h // block, block, w // block, block, c).mean(axis=(2, 4), keepdims=True)
    return np.broadcast_to(means, (t, h // block, block, w // block, block, c)).reshape(t, h, w, c)


def _moved_inside(path: np.ndarray, edge: float) -> np.ndarray:
    """Shift a path so that it stays `edge` away from the frame's sides, or is centred where it is too wide for that."""
    low, high = path.min(axis=(0, 1)), path.max(axis=(0, 1))
    shift = np.maximum(0, edge - low) - np.maximum(0, high - (FRAME - edge))
    return path + np.where(high - low > FRAME - 2 * edge, FRAME / 2 - (low + high) / 2, shift)
