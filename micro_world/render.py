"""Draws scenes: anti-aliased, at sub-pixel positions, identical for identical inputs."""

from __future__ import annotations

import numpy as np

from .scene import COLOURS, FRAME, GROUNDS, ClipFormat, Scene

SAMPLES = 4  # sub-samples along each side of a pixel
_STRIPE_PERIOD = 7.0  # world units
_STRIPE_CONTRAST = 20.0  # levels of 255, above and below the ground's level


def inside_shape(shape: str, x: np.ndarray, y: np.ndarray, diameter: float) -> np.ndarray:
    """Tell which points lie in a shape centred (by area) at the origin; y grows downwards.

    The shapes have similar areas for the same diameter, so that size says little about the kind.

    Args:
        shape: one of SHAPES.
        x, y: offsets from the centre, broadcast against each other.
        diameter: of the circle, in the unit of x and y.

    Raises:
        ValueError: a shape that the world does not know.
    """
    r = diameter / 2
    if shape == "circle":
        return x**2 + y**2 <= r**2
    if shape == "square":
        return np.maximum(np.abs(x), np.abs(y)) <= 0.89 * r
    if shape == "triangle":  # point up; the centroid lies a third of the height above the base
        height = 2.1 * r
        return (y <= height / 3) & (np.abs(x) <= (y + height * 2 / 3) * 0.56)
    if shape == "cross":
        ax, ay = np.abs(x), np.abs(y)
        return (np.minimum(ax, ay) <= 0.37 * r) & (np.maximum(ax, ay) <= 1.1 * r)
    raise ValueError(f"unknown shape {shape!r}; the micro world draws circle, square, triangle and cross.")


def coverage(shape: str, centres: np.ndarray, diameter: float, size: int) -> np.ndarray:
    """Fraction of each pixel that is covered by a shape, for each of several centres.

    Args:
        centres: [N, 2] (x, y) in pixels; parts outside the picture are cut off.
        diameter: in pixels.
        size: width and height of the picture in pixels.

    Returns:
        [N, size, size] float32 in [0, 1].
    """
    # Only a window around each shape is sampled: whole pictures would cost ten times as much.
    reach = int(np.ceil(0.85 * diameter)) + 2
    corner = np.floor(centres).astype(int) - reach  # [N, 2]
    steps = (np.arange((2 * reach + 1) * SAMPLES) + 0.5) / SAMPLES
    offsets = corner[:, :, None] + steps - centres[:, :, None]  # [N, 2, window * SAMPLES]
    inside = inside_shape(shape, offsets[:, 0, None, :], offsets[:, 1, :, None], diameter)
    window = 2 * reach + 1
    fraction = inside.reshape(-1, window, SAMPLES, window, SAMPLES).mean(axis=(2, 4), dtype=np.float32)

    # A frame of padding takes what is cut off; shapes far outside land in it altogether.
    padded = np.zeros((len(centres), size + 2 * window, size + 2 * window), np.float32)
    corner = np.clip(corner + window, 0, size + window)
    for picture, (x, y), part in zip(padded, corner, fraction, strict=True):
        picture[y : y + window, x : x + window] = part
    return padded[:, window : window + size, window : window + size]


def draw_ground(scene: Scene, size: int) -> np.ndarray:
    """The ground alone: one neutral level, or soft diagonal stripes around it. [size, size, 3] float32 in 0..255."""
    level = np.full((size, size), float(GROUNDS[scene.ground]), np.float32)
    if scene.ground_kind == "textured":
        at = (np.arange(size) + 0.5) * (FRAME / size)
        along = at[None, :] * np.cos(scene.texture_angle) + at[:, None] * np.sin(scene.texture_angle)
        level += _STRIPE_CONTRAST * np.sin(2 * np.pi * along / _STRIPE_PERIOD + scene.texture_phase)
    return np.repeat(level[:, :, None], 3, axis=2)


def draw_frames(scene: Scene, path: np.ndarray, size: int) -> np.ndarray:
    """Draw the scene with its shapes at given positions.

    Args:
        path: [T, count, 2] centres (x, y) in world units.
        size: width and height in pixels.

    Returns:
        [T, size, size, 3] float32 in 0..255.
    """
    scale = size / FRAME
    t, count, _ = path.shape
    covered = coverage(scene.shape, path.reshape(t * count, 2) * scale, scene.diameter * scale, size)
    alpha = covered.reshape(t, count, size, size).max(axis=1)[..., None]
    ground = draw_ground(scene, size)
    colour = np.asarray(COLOURS[scene.colour], np.float32)
    return ground + alpha * (colour - ground)


def render(scene: Scene, clip_format: ClipFormat | None = None) -> np.ndarray:
    """Render a faultless clip: [T, size, size, 3] uint8 RGB."""
    clip_format = clip_format or ClipFormat()
    return to_uint8(draw_frames(scene, scene.path(clip_format), clip_format.size))


def to_uint8(frames: np.ndarray) -> np.ndarray:
    """Round float pictures in 0..255 to uint8; values outside are clipped."""
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)
