"""Which frames of a clip are looked at, and how large: integer arithmetic that must be the official one to the digit.

Off-by-one here moves scores by 0.3 to 1.3, so every rounding is deliberate: Python's round (half to even) for counts,
float32 linspace for indices.
"""

from __future__ import annotations

import math

import torch

from ..errors import ClipError
from .settings import FrameSampling

FRAME_FACTOR = 2
SIZE_FACTOR = 28
MAX_ASPECT_RATIO = 200


def frame_count(total_frames: int, clip_fps: float, sampling: FrameSampling) -> int:
    """Number of frames to sample: even, at least 2, at most ``total_frames``.

    Args:
        total_frames: frames in the clip, >= 2.
        clip_fps: the clip's own rate in frames per second, > 0.

    Raises:
        ClipError: the clip has fewer than two frames, or fewer than a fixed ``num_frames`` can use.
    """
    if total_frames < FRAME_FACTOR:
        raise ClipError(
            f"The clip has {total_frames} frame(s); VideoReward needs at least {FRAME_FACTOR} to judge motion."
        )
    if sampling.num_frames is not None:
        count = round(sampling.num_frames / FRAME_FACTOR) * FRAME_FACTOR
        # The official code asks for an even count from an odd clip and then crashes; the next lower even count is
        # what its fps path takes in the same situation.
        return min(max(count, FRAME_FACTOR), _floor_even(total_frames))
    lowest = max(math.ceil(sampling.min_frames / FRAME_FACTOR), 1) * FRAME_FACTOR
    highest = _floor_even(min(sampling.max_frames, total_frames))
    wanted = min(max(total_frames / clip_fps * sampling.fps, lowest), highest)
    return min(round(wanted / FRAME_FACTOR) * FRAME_FACTOR, _floor_even(total_frames))


def frame_indices(total_frames: int, count: int) -> list[int]:
    """``count`` indices evenly spread over [0, total_frames - 1], first and last always in."""
    # Named, because a program may have set another default; in float64 a frame here and there would be another one.
    return torch.linspace(0, total_frames - 1, count, dtype=torch.float32, device="cpu").round().long().tolist()


def resized_size(height: int, width: int, sampling: FrameSampling, factor: int = SIZE_FACTOR) -> tuple[int, int]:
    """Height and width of a resized frame: multiples of ``factor``, aspect kept, pixel count within the bounds.

    Args:
        factor: pixels of a merged token's side: 28 for Qwen2-VL and Qwen2.5-VL, 32 for Qwen3-VL.

    Raises:
        ClipError: the aspect ratio is extreme, or the bounds leave no room for a single row or column of tokens.
    """
    if max(height, width) / min(height, width) > MAX_ASPECT_RATIO:
        raise ClipError(f"The clip is {width}x{height}; aspect ratios above {MAX_ASPECT_RATIO} are not supported.")
    rows = max(factor, round(height / factor) * factor)
    columns = max(factor, round(width / factor) * factor)
    if rows * columns > sampling.max_pixels:
        scale = math.sqrt(height * width / sampling.max_pixels)
        rows = math.floor(height / scale / factor) * factor
        columns = math.floor(width / scale / factor) * factor
    elif rows * columns < sampling.min_pixels:
        scale = math.sqrt(sampling.min_pixels / (height * width))
        rows = math.ceil(height * scale / factor) * factor
        columns = math.ceil(width * scale / factor) * factor
    if rows == 0 or columns == 0:
        raise ClipError(
            f"A {width}x{height} clip does not fit into max_pixels = {sampling.max_pixels:g}: one side would shrink below "
            f"{factor} pixels. Raise max_pixels."
        )
    return rows, columns


def _floor_even(count: int) -> int:
    return count // FRAME_FACTOR * FRAME_FACTOR
