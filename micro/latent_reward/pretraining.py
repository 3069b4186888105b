"""Teach the latent reward's trunk what a noisy latent shows and whether a caption is true of it, from the world's truth.

Preferences say as much, but a bit at a time, and most of what spoils motion is hidden by noise: a trunk of this size
would need hours. Asked for positions and movement in each latent frame, for what spoils the clip and for the words that
are wrong, it learns in minutes. The linear read-outs used here are thrown away; the heads are trained afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ...backbones.backbone import Backbone
from ...backbones.flow_path import add_noise
from ...micro_world import Clip, caption
from ...micro_world.answers import contradictions, fault_degrees, shown_values
from ...micro_world.read_outs import ClipReadOuts
from ...micro_world.scene import FRAME, SHAPES, TEXT_ATTRIBUTES, Attributes
from ..video.flow_training import MAX_GRADIENT_NORM, optimizers_of, text_batch
from ..video.vae_training import warmup_cosine

STRIDE = 4  # frames in a latent frame; the first one holds a single frame
NOISE_POWER = 1.5  # sigma = u^this: most can be learnt at low noise, and it helps to see through more of it
STEP = 2.0  # world units that count as 1 in a movement: about a frame of normal motion


@dataclass(frozen=True)
class Truth:
    """What is true of a clip.

    Attributes:
        caption: what it is said to show.
        motion: [latent frames, 2 + 2 STRIDE] float32: middle of the shapes, half the frame being 1; their movement from
            frame to frame within the latent frame, zeros in the first one.
        faults: degrees of all faults.
        shown: index of the value shown for each of TEXT_ATTRIBUTES.
        wrong: [len(TEXT_ATTRIBUTES)] 1 where the caption contradicts the clip.
    """

    caption: str
    motion: np.ndarray
    faults: np.ndarray
    shown: list[int]
    wrong: list[float]


def truth_of(clip: Clip, described: Attributes) -> Truth:
    """The answers to all questions about a clip, and its caption."""
    centre = clip.path.mean(axis=1)
    groups = [centre[:1], *np.split(centre[1:], len(centre[1:]) // STRIDE)]
    steps = np.split(np.diff(centre, axis=0) / STEP, len(groups) - 1)
    motion = np.zeros((len(groups), 2 + 2 * STRIDE), np.float32)
    motion[:, :2] = [group.mean(axis=0) / (FRAME / 2) - 1 for group in groups]
    motion[1:, 2:] = [step.reshape(-1) for step in steps]
    return Truth(
        caption=caption(described),
        motion=motion,
        faults=fault_degrees(clip.faults),
        shown=shown_values(clip.scene),
        wrong=contradictions(clip.scene, described),
    )


class ReadOuts(nn.Module):
    """The linear questions: about each latent frame, put to its tokens, and about the clip, put to their mean."""

    def __init__(self, channels: int, tokens: int):
        super().__init__()
        self.motion = nn.Linear(tokens * channels, 2 + 2 * STRIDE)
        self.shape = nn.Linear(tokens * channels, len(SHAPES))
        self.clip = ClipReadOuts(channels)


def pretrain(
    trunk: Backbone,
    latents: Tensor,
    truths: Sequence[Truth],
    steps: int,
    batch_size: int,
    rate: float,
    seed: int,
    clean: bool = False,
) -> Iterator[dict[str, float]]:
    """Train the trunk in place; yields the parts of each step's loss.

    Args:
        latents: [N, C, T, H, W] of the clips, in the space that the sampler sees.
        truths: of the clips.
        batch_size: clips a step; each has its own sigma and noise.
        rate: highest learning rate, after a linear warm-up and before a cosine decay.
        clean: show clean latents whatever sigma is told, for the ablation.
    """
    torch.manual_seed(seed)
    network = trunk.module.requires_grad_(True)
    frames, tokens = latents.shape[2], math.prod(latents.shape[3:]) // math.prod(trunk.patch)
    readouts = ReadOuts(network.proj_out.in_features, tokens)
    trained = [*network.parameters(), *readouts.parameters()]
    optimizers = [*optimizers_of(network, rate, 0.01), torch.optim.AdamW(readouts.parameters(), lr=rate)]
    for step in range(steps):
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = rate * warmup_cosine(step, steps, floor=0.02)
        rng = np.random.default_rng([seed, step])
        chosen = rng.integers(len(truths), size=batch_size)
        u = (rng.permutation(batch_size) + rng.random(batch_size)) / batch_size
        sigma = torch.from_numpy(u**NOISE_POWER).float()
        x_t = latents[torch.from_numpy(chosen)].float()
        if not clean:
            x_t = add_noise(x_t, torch.from_numpy(rng.standard_normal(x_t.shape, dtype=np.float32)), sigma)
        asked = [truths[i] for i in chosen]
        features = trunk.features(x_t, sigma, {"text": text_batch([truth.caption for truth in asked])})
        losses = _losses(readouts, features.unflatten(1, (frames, tokens)), asked)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_([weight for weight in trained if weight.grad is not None], MAX_GRADIENT_NORM)
        for optimizer in optimizers:
            optimizer.step()
        yield {name: loss.item() for name, loss in losses.items()}


def _losses(readouts: ReadOuts, grid: Tensor, asked: Sequence[Truth]) -> dict[str, Tensor]:
    """``grid``: [B, T, tokens, channels]."""
    grid = F.layer_norm(grid, grid.shape[-1:])
    each, whole = grid.flatten(2), grid.mean((1, 2))
    motion = torch.from_numpy(np.stack([truth.motion for truth in asked]))
    shape = torch.tensor([truth.shown[TEXT_ATTRIBUTES.index("shape")] for truth in asked])
    told = readouts.motion(each)
    return {
        "position": 5 * F.smooth_l1_loss(told[..., :2], motion[..., :2]),
        # A teleport is worth no more than a few steps: without a bound it would drown all others.
        "movement": 5 * F.smooth_l1_loss(told[:, 1:, 2:], motion[:, 1:, 2:].clamp(-3, 3)),
        "shape in a frame": 0.5 * F.cross_entropy(readouts.shape(each).flatten(0, 1), shape.repeat_interleave(grid.shape[1])),
        **readouts.clip.losses(whole, whole, asked),
    }  # fmt: skip
