"""Measures any decoded clip against its caption, knowing nothing of how it was made or spoilt.

The world's own judge: it sees frames and a caption only, so it judges clips of a generative model as well as rendered
ones. Every degree has the unit of the faults' degrees (0 none, 1 unmistakable), and VQ, MQ and TA that of
`Clip.quality` (0 best, -1 worst).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .faults import BLOCK_LEVELS, BLOCK_SIZE, BLUR_SIGMA, FADE_HAZE, FADE_SATURATION, NOISE_LEVELS
from .motion import MotionMeasurement, measure_motion
from .scene import COLOURS, FRAME, TEXT_ATTRIBUTES, parse_caption
from .segment import find_foreground, hue_plane
from .shape_match import match_shape

SHARP_BLUR = 0.5  # pixels; what the average view of a sharp shape shows


@dataclass(frozen=True)
class Measurement:
    """What a clip shows and how well.

    Attributes:
        colour, shape, direction: words of the vocabulary, or None where nothing was found.
        count: shapes in most frames; 0 where none was found.
        noise, blur, fade, blocks: degrees of visual faults, 0 to 1.
        motion: speed and degrees of motion faults.
        likeness: of what is seen to the nearest drawn shape, at most 1; 0 where nothing was found.
        blur_sigma: of the shapes' edges, in world units; NaN where nothing was found.
        noise_level: standard deviation, in levels of 255.
        VQ, MQ, TA: quality, 0 (faultless) to -1.
    """

    colour: str | None
    shape: str | None
    direction: str | None
    count: int
    noise: float
    blur: float
    fade: float
    blocks: float
    motion: MotionMeasurement
    likeness: float
    blur_sigma: float
    noise_level: float
    VQ: float
    MQ: float
    TA: float

    @property
    def overall(self) -> float:
        """Mean of the three qualities."""
        return (self.VQ + self.MQ + self.TA) / 3


def measure(frames: np.ndarray, caption: str, fps: float = 8.0) -> Measurement:
    """Measure a clip.

    A clip without any coloured shape has VQ, MQ and TA of -1.

    Args:
        frames: [T, H, W, 3] uint8 RGB, T at least 5, square, the side a multiple of 64.
        caption: of the micro world's vocabulary.
        fps: frames a second.

    Raises:
        ValueError: frames of another form, fps that are not positive, or a caption that cannot be read.
    """
    described = parse_caption(caption)
    if not fps > 0:
        raise ValueError(f"fps is {fps}; expected a positive number of frames a second.")
    frames = _at_world_size(frames)
    foreground = find_foreground(frames)
    brightness, noise_level = _ground_statistics(frames, foreground.ever_covered)
    blocks = _block_degree(frames, foreground.ever_covered)
    noise = noise_level / NOISE_LEVELS

    motion = measure_motion(foreground.track, brightness, fps, foreground.track_noise)
    if foreground.colour is None:
        return Measurement(
            colour=None, shape=None, direction=None, count=0, noise=min(1.0, noise), blur=0.0, fade=1.0, blocks=blocks,
            motion=motion, likeness=0.0, blur_sigma=float("nan"), noise_level=noise_level, VQ=-1.0, MQ=-1.0, TA=-1.0,
        )  # fmt: skip
    match = match_shape(foreground.chroma, foreground.frame, foreground.centre)
    counts = foreground.counts
    count = int(np.bincount(counts[counts > 0]).argmax())
    # Blocks blur edges and dilute colours; noise and flicker dilute colours by clipping: each counts once.
    blur = _unit(np.sqrt(max(0.0, match.blur**2 - SHARP_BLUR**2)) / BLUR_SIGMA - 0.85 * blocks)
    dilution = 0.12 * min(1.0, noise) + 0.1 * blocks + 0.08 * motion.flicker + 0.02
    fade = _unit(_fade_degree(match.strength, foreground.colour) - dilution)
    noise = _unit(noise - 0.1 * motion.flicker)  # a flickering texture
    shown = {"colour": foreground.colour, "shape": match.shape, "direction": motion.direction, "count": count}
    wrong = sum(shown[name] != getattr(described, name) for name in TEXT_ATTRIBUTES)
    return Measurement(
        **shown, noise=noise, blur=blur, fade=fade, blocks=blocks, motion=motion,
        likeness=match.likeness, blur_sigma=match.blur, noise_level=noise_level,
        VQ=0.0 - min(1.0, noise + blur + fade + blocks), MQ=0.0 - motion.degree, TA=0.0 - wrong / len(TEXT_ATTRIBUTES),
    )  # fmt: skip


def _at_world_size(frames: np.ndarray) -> np.ndarray:
    """Check frames and average them down to 64 x 64 float32."""
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"frames have shape {frames.shape} and type {frames.dtype}; expected [T, H, W, 3] uint8 RGB.")
    t, h, w, _ = frames.shape
    side = int(FRAME)
    if t < 5 or h != w or h % side:
        raise ValueError(
            f"cannot measure {t} frames of {w}x{h}; expected at least 5 square frames whose side is a multiple of "
            f"{side}. Resize the clip first."
        )
    frames = frames.astype(np.float32)
    if h == side:
        return frames
    return frames.reshape(t, side, h // side, side, w // side, 3).mean(axis=(2, 4))


def _ground_statistics(frames: np.ndarray, ever_covered: np.ndarray) -> tuple[np.ndarray, float]:
    """Level of the ground in each frame [T], and the standard deviation of what changes there from frame to frame."""
    ground = ~ever_covered
    if ground.sum() < 100:
        ground[:] = True
    pixels = frames[:, ground, 1]  # one channel is enough, and green weighs most in every brightness
    brightness = np.median(pixels, axis=1)
    rest = pixels - brightness[:, None]
    rest = rest - np.median(rest, axis=0)
    # Clipping at black or white hides one side of the noise: the other one tells its size.
    lower, upper = np.quantile(rest, [0.16, 0.84])
    return brightness, float(max(-lower, upper))


def _block_degree(frames: np.ndarray, ever_covered: np.ndarray) -> float:
    """Degree of block artefacts: steps at the borders of a fixed grid of blocks, over those inside of the blocks."""
    picture = frames[..., 1].mean(axis=0)
    ground = ~ever_covered if (~ever_covered).mean() > 0.2 else np.ones_like(ever_covered)  # edges of shapes are steps
    block = int(BLOCK_SIZE)
    excess = []
    for still, use in ((picture, ground), (picture.T, ground.T)):
        step = np.diff(still, axis=1) ** 2
        use = use[:, 1:] & use[:, :-1]
        # Grain two pixels wide has steps at every other column only, borders among them: compare with those.
        column = np.arange(step.shape[1])
        border = use & (column % block == block - 1)
        inside = use & (column % block != block - 1) & (column % 2 == 1)
        if border.any() and inside.any():
            chance = step[inside].mean() * np.sqrt(8 / border.sum())  # what noise and texture differ by
            excess.append(max(0.0, step[border].mean() - step[inside].mean() - chance))
    return _unit(np.sqrt(max(0.0, np.mean(excess))) / (np.sqrt(2) * BLOCK_LEVELS)) if excess else 0.0


def _fade_degree(strength: float, colour: str) -> float:
    """Degree of fading from the share of the colour's chroma that is left."""
    full = float(np.linalg.norm(hue_plane(np.asarray(COLOURS[colour], float))))
    # left = (1 - s d) (1 - h d), solved for d.
    s, h = FADE_SATURATION, FADE_HAZE
    left = min(1.0, strength / full)
    return float((s + h - np.sqrt((s + h) ** 2 - 4 * s * h * (1 - left))) / (2 * s * h))


def _unit(value: float) -> float:
    return min(1.0, max(0.0, float(value)))
