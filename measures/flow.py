"""Optical flow between two frames, and what is kept of it.

OpenCV's DIS flow (Kroeger et al., ECCV 2016) at its preset "medium"; it gives the same on any number of threads. VBench
estimates the flow by RAFT, a network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .opencv import opencv

FASTEST = 0.05
"""Share of the picture whose speed counts, as in VBench."""
LEAST_SIDE = 64
"""Smaller pictures are enlarged to it: DIS flow compares patches of 8 pixels on a coarser scale, and on pictures of 15 pixels and
fewer OpenCV 5.0 crashes."""


@dataclass(frozen=True)
class Motion:
    """Of one pair of frames, in shorter sides of the picture.

    Attributes:
        fastest: mean speed of the fastest 5 % of the picture.
        fastest_object: the same after the camera's motion was taken off.
        camera: median of the flow (x to the right, y down): how the picture as a whole moves. A camera that pans to the right
            moves the picture to the left.
    """

    fastest: float
    fastest_object: float
    camera: tuple[float, float]


def dense_flow(grey: np.ndarray, following: np.ndarray) -> np.ndarray:
    """Where each pixel of the first picture goes: float32 [H, W, 2] (x, y), in shorter sides of the picture.

    Args:
        grey, following: grey levels [H, W] uint8, of one shape.
    """
    cv2 = opencv()
    height, width = grey.shape
    if min(height, width) < LEAST_SIDE:
        scale = LEAST_SIDE / min(height, width)
        size = round(width * scale), round(height * scale)
        grey, following = (cv2.resize(one, size, interpolation=cv2.INTER_LINEAR) for one in (grey, following))
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(
        np.ascontiguousarray(grey), np.ascontiguousarray(following), None
    )
    return flow / np.float32(min(grey.shape))


def motion(flow: np.ndarray) -> Motion:
    """What is kept of a flow [H, W, 2]."""
    camera = np.median(flow.reshape(-1, 2), axis=0)
    return Motion(
        fastest=mean_of_fastest(flow),
        fastest_object=mean_of_fastest(flow - camera),
        camera=(float(camera[0]), float(camera[1])),
    )


def mean_of_fastest(flow: np.ndarray) -> float:
    """Mean speed of the fastest 5 % of the pixels (rounded down, at least one), in the flow's unit."""
    speed = np.hypot(flow[..., 0], flow[..., 1]).ravel()
    count = max(int(len(speed) * FASTEST), 1)
    return float(np.partition(speed, len(speed) - count)[-count:].mean(dtype=np.float64))
