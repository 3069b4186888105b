"""Tells which shape a clip shows, how large and how blurred it is, by comparing its average view with drawn shapes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .faults import gaussian_matrix
from .render import coverage
from .scene import SHAPES

WINDOW = 23  # pixels; wide enough for the largest shape, and narrower than the gap to its neighbour
DIAMETERS = np.arange(10.0, 22.5, 0.75)
BLURS = np.concatenate([np.arange(0.4, 1.2, 0.1), np.arange(1.25, 4.6, 0.25)])  # standard deviation in pixels


@dataclass(frozen=True)
class ShapeMatch:
    """The drawn shape that is most like what was seen.

    Attributes:
        shape: its name.
        diameter: in pixels.
        blur: standard deviation of the Gaussian blur in pixels; about 0.5 for a sharp one, by averaging.
        strength: level inside the shape, in the unit of the picture.
        likeness: cosine between the view and the drawing, at most 1.
        margin: by how much the best other shape is less alike.
    """

    shape: str
    diameter: float
    blur: float
    strength: float
    likeness: float
    margin: float


def match_shape(pictures: np.ndarray, frame: np.ndarray, centre: np.ndarray) -> ShapeMatch:
    """Average all views of a clip's shapes and find the most similar drawing.

    Args:
        pictures: [T, H, W] levels, 0 on the ground.
        frame: [N] frame of each view, N at least 1.
        centre: [N, 2] (x, y) of its centre in pixels.
    """
    view = average_view(pictures, frame, centre).ravel()
    bank, lengths = _drawings()
    product = bank @ view
    cosine = (product / (lengths * max(float(np.linalg.norm(view)), 1e-9))).reshape(len(SHAPES), -1)
    by_shape = cosine.max(axis=1)
    kind = int(by_shape.argmax())
    best = int(cosine[kind].argmax())
    diameter, blur = np.unravel_index(best, (len(DIAMETERS), len(BLURS)))
    position = kind * cosine.shape[1] + best
    return ShapeMatch(
        shape=SHAPES[kind],
        diameter=float(DIAMETERS[diameter]),
        blur=float(BLURS[blur]),
        strength=float(product[position] / lengths[position] ** 2),
        likeness=float(by_shape[kind]),
        margin=float(by_shape[kind] - np.delete(by_shape, kind).max()),
    )


def average_view(pictures: np.ndarray, frame: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Mean of windows around given centres, moved by fractions of a pixel so that they coincide: [WINDOW, WINDOW]."""
    reach = WINDOW // 2
    padded = np.pad(pictures, ((0, 0), (reach + 1, reach + 2), (reach + 1, reach + 2)))
    at = centre - 0.5 + 1  # pixel i's centre is at i + 0.5; one for the padding beyond the window's reach
    corner = np.floor(at).astype(int)
    fx, fy = (at - corner).astype(np.float32).T[:, :, None, None]
    steps = np.arange(WINDOW + 1)
    rows, columns = corner[:, 1, None] + steps, corner[:, 0, None] + steps
    block = padded[frame[:, None, None], rows[:, :, None], columns[:, None, :]]
    block = block[:, :-1] * (1 - fy) + block[:, 1:] * fy
    return (block[:, :, :-1] * (1 - fx) + block[:, :, 1:] * fx).mean(axis=0)


@lru_cache(maxsize=1)
def _drawings() -> tuple[np.ndarray, np.ndarray]:
    """[shape x diameter x blur, WINDOW ** 2] drawn shapes and their lengths."""
    middle = np.full((1, 2), 32.0)
    middle += 0.5  # the centre of a pixel, as in an average view
    kernels = [gaussian_matrix(65, blur) for blur in BLURS]
    low = 32 - WINDOW // 2
    window = slice(low, low + WINDOW)
    bank = []
    for shape in SHAPES:
        for diameter in DIAMETERS:
            drawn = coverage(shape, middle, diameter, 65)[0]
            bank += [(kernel @ drawn @ kernel.T)[window, window].ravel() for kernel in kernels]
    bank = np.stack(bank)
    return bank, np.linalg.norm(bank, axis=1)
