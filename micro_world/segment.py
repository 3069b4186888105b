"""Finds the coloured shapes in any clip: what is coloured against a neutral ground, frame by frame.

Works on decoded clips of any origin, so edges may be soft, noise heavy, and colours faded. Only the chroma is used: it
is unaffected by the ground's brightness, stripes and flicker.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .faults import gaussian_matrix
from .scene import COLOURS

MIN_CHROMA = 14.0  # levels; less than this cannot be told from a neutral ground
MIN_AREA = 18.0  # pixels; less than a third of the smallest shape
MIN_CONTRAST_TO_NOISE = 3.2
SMOOTHING = (0.7, 1.3)  # standard deviation in pixels before shapes are looked for, in clean clips and in noisy ones


@dataclass(frozen=True)
class Foreground:
    """The shapes of a clip of 64 x 64 pixels.

    Attributes:
        colour: name of the nearest hue, or None if nothing coloured is there.
        chroma: [T, 64, 64] float32, along the shapes' hue and relative to the ground, in levels; not smoothed.
        strength: chroma of the shapes' inside, in levels.
        frame: [N] frame of each shape found.
        centre: [N, 2] its centre (x, y) in pixels.
        area: [N] its area in pixels.
        track: [T, 2] centre of all shapes together; NaN in a frame without any.
        track_noise: standard deviation of the track's error in each coordinate, as far as noise explains it.
        ever_covered: [64, 64] bool, pixels that a shape covers or touches in some frame.
    """

    colour: str | None
    chroma: np.ndarray
    strength: float
    frame: np.ndarray
    centre: np.ndarray
    area: np.ndarray
    track: np.ndarray
    track_noise: float
    ever_covered: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """[T] number of shapes in each frame."""
        return np.bincount(self.frame, minlength=len(self.chroma))


def hue_plane(rgb: np.ndarray) -> np.ndarray:
    """[..., 3] colours to [2, ...]: the angle is the hue (red at 0, green at 120 degrees), the length the chroma."""
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    return np.stack([r - 0.5 * (g + b), 0.75**0.5 * (g - b)])


def nearest_colour(chroma: np.ndarray) -> str:
    """Name of the colour whose hue is nearest to a vector of the hue plane."""
    names = list(COLOURS)
    known = hue_plane(np.asarray([COLOURS[name] for name in names], float))
    cosine = np.asarray(chroma, float) @ known / np.linalg.norm(known, axis=0)
    return names[int(cosine.argmax())]


def find_foreground(frames: np.ndarray) -> Foreground:
    """Segment a clip.

    Args:
        frames: [T, 64, 64, 3] float32 in 0..255.
    """
    t, h, w, _ = frames.shape
    plane = hue_plane(frames)
    # The median of all pixels is the ground's, since shapes cover less than a third of it.
    plane -= np.median(plane[:, ::2, ::2, ::2].reshape(2, -1), axis=1)[:, None, None, None]
    step = plane[:, ::4, ::2, 2:] - plane[:, ::4, ::2, :-2]
    noise = float(np.median(np.abs(step))) / 0.954  # MAD of a difference of two
    kernel = gaussian_matrix(h, SMOOTHING[0] if noise < 12 else SMOOTHING[1])
    smooth = kernel @ plane @ kernel.T

    magnitude = np.hypot(smooth[0], smooth[1])
    peak = np.partition(magnitude.ravel(), -(t * 60))[-(t * 60) :].mean()  # as if 60 pixels a frame were coloured
    direction = smooth[:, magnitude > 0.6 * peak].sum(axis=1)
    direction = direction / max(float(np.linalg.norm(direction)), 1e-6)
    along = np.tensordot(direction, smooth, axes=1)
    inside = along > 0.6 * peak
    strength = float(np.median(along[inside])) if inside.any() else 0.0
    smooth_noise = float(np.median(np.abs(along[::2, ::2, ::2]))) / 0.674
    chroma = np.tensordot(direction, plane, axes=1)
    label, frame, area = _components(along > 0.5 * strength)
    enough = strength >= max(MIN_CHROMA, MIN_CONTRAST_TO_NOISE * smooth_noise)
    if not enough or not len(area) or area.max() < MIN_AREA:
        return Foreground(
            colour=None, chroma=chroma, strength=strength, frame=np.zeros(0, int), centre=np.zeros((0, 2)),
            area=np.zeros(0), track=np.full((t, 2), np.nan), track_noise=0.0, ever_covered=np.zeros((h, w), bool),
        )  # fmt: skip

    # Specks are noise: much smaller than the larger shapes of the clip.
    order = np.sort(area)
    usual = order[np.searchsorted(order.cumsum(), 0.5 * area.sum())]  # half of the foreground is in larger ones
    keep = area >= max(MIN_AREA, 0.35 * usual)
    mask = np.append(keep, False)[label]
    near = _dilated(mask)
    weight = np.clip(along / strength, 0, 1.2)
    track = _frame_centres(weight * near)
    return Foreground(
        colour=nearest_colour(direction),
        chroma=chroma,
        strength=strength,
        frame=frame[keep],
        centre=_centres(weight, label, mask, len(area))[keep],
        area=area[keep],
        track=track,
        track_noise=_centre_noise(weight, near, smooth_noise / strength),
        ever_covered=_dilated(near).any(axis=0),
    )


def _components(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """4-connected components within each frame: label of every pixel (count outside), frame and area of each."""
    index = np.full(mask.shape, -1)
    t, y, x = np.nonzero(mask)
    index[t, y, x] = np.arange(len(t))
    pairs = []
    for a, b in ((index[:, :, 1:], index[:, :, :-1]), (index[:, 1:], index[:, :-1])):
        both = (a >= 0) & (b >= 0)
        pairs.append((a[both], b[both]))
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    # Every pixel takes the smallest index that it touches, then that pixel's root: converges in a few rounds.
    root = np.arange(len(t))
    while True:
        before = root
        low = np.minimum(root[a], root[b])
        root = root.copy()
        np.minimum.at(root, root[a], low)
        np.minimum.at(root, root[b], low)
        np.minimum.at(root, a, low)
        np.minimum.at(root, b, low)
        root = root[root]
        if np.array_equal(root, before):
            break
    first, number = np.unique(root, return_inverse=True)
    label = np.full(mask.shape, len(first))
    label[t, y, x] = number
    return label, t[first], np.bincount(number, minlength=len(first)).astype(float)


def _centres(weight: np.ndarray, label: np.ndarray, mask: np.ndarray, number: int) -> np.ndarray:
    """[number, 2] weighted centres (x, y) of labelled pixels; pixel i's centre is at i + 0.5."""
    t, y, x = np.nonzero(mask)
    label, weight = label[t, y, x], weight[t, y, x]
    total, by_x, by_y = (np.bincount(label, weight * at, minlength=number) for at in (1.0, x + 0.5, y + 0.5))
    total = np.maximum(total, 1e-9)
    return np.stack([by_x / total, by_y / total], axis=1)


def _centre_noise(weight: np.ndarray, near: np.ndarray, noise: float) -> float:
    """Standard deviation of a coordinate of a frame's centre, from the noise of the weights that it is made of."""
    at = np.arange(weight.shape[1]) + 0.5
    total = np.maximum((weight * near).sum(axis=(1, 2)), 1.0)
    spread = []
    for axis in (1, 2):
        pixels = near.sum(axis=axis)  # [T, places along the other axis]
        middle = (pixels @ at) / np.maximum(pixels.sum(axis=1), 1)
        spread.append((pixels * (at - middle[:, None]) ** 2).sum(axis=1))
    correlated = 4 * np.pi * SMOOTHING[1] ** 2  # pixels that share their noise once smoothed
    return float(noise * np.median(np.sqrt(np.mean(spread, axis=0) * correlated) / total))


def _frame_centres(weight: np.ndarray) -> np.ndarray:
    """[T, 2] centre (x, y) of each frame's weight; NaN where it has none."""
    at = np.arange(weight.shape[1]) + 0.5
    total = weight.sum(axis=(1, 2))
    total = np.where(total > 1, total, np.nan)
    return np.stack([weight.sum(axis=1) @ at / total, weight.sum(axis=2) @ at / total], axis=1)


def _dilated(mask: np.ndarray) -> np.ndarray:
    """Grow [T, H, W] bool by two pixels in every direction."""
    for axis in (1, 2):
        grown = mask.copy()
        for step in (1, 2):
            here, there = [slice(None)] * 3, [slice(None)] * 3
            here[axis], there[axis] = slice(step, None), slice(None, -step)
            grown[tuple(here)] |= mask[tuple(there)]
            grown[tuple(there)] |= mask[tuple(here)]
        mask = grown
    return mask
