"""How much memory the gradient of a latent reward takes, and the choice to take less of it for more time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .latent_reward import LatentReward

# Numbers that a block keeps for its backward pass, by token and channel: q, k, v, the attention's output, the wide layer
# twice, norms in float32.
_KEPT_BY_A_BLOCK = 24

SHARE_FOR_THE_GRADIENT = 0.2
"""Of a device's memory: what the gradient may take, beside the models, without running blocks twice."""


def gradient_bytes(reward: LatentReward, shape: Sequence[int]) -> int:
    """Bytes that the gradient takes beside the weights, for latents of this shape [B, C, T, H, W] and as ``reward`` is set."""
    trunk = reward.trunk
    tokens = shape[0] * math.prod(-(-size // side) for size, side in zip(shape[2:], trunk.patch, strict=True))
    numbers = tokens * reward.heads["VQ"].inwards.in_features * trunk.dtype.itemsize
    blocks = len(trunk.blocks)
    return numbers * (_KEPT_BY_A_BLOCK + blocks if reward.recomputes else _KEPT_BY_A_BLOCK * blocks)


def fit_gradient(reward: LatentReward, shape: Sequence[int], device_memory: int) -> None:
    """Let the blocks be run again for the gradient where keeping all they make would take too much of the device.

    At 81 frames of 832 x 480 eight blocks of Wan 1.3B keep some 20 GB in bfloat16, run again 3 GB.

    Args:
        device_memory: all of the device's, in bytes. What is free at the moment would change from step to step.
    """
    reward.recompute(False)
    reward.recompute(gradient_bytes(reward, shape) > SHARE_FOR_THE_GRADIENT * device_memory)
