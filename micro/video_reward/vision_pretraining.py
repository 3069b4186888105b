"""Teach the micro vision tower where shapes are, what they are, and how the picture is spoilt, from the world's own truth.

Every pair of frames is an example with a dense answer, so seeing is learnt in minutes; from captions or preferences
alone, a transformer of this size would need hours. The linear read-out used here is thrown away afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from ...micro_world.clip import sample_faults
from ...micro_world.faults import MOTION_FAULTS, VISUAL_FAULTS, faulty_path, flicker, spoil_frames
from ...micro_world.render import coverage, draw_frames, to_uint8
from ...micro_world.scene import FRAME, SHAPES, ClipFormat, sample_scene
from ...reward.clip import Frames, PreparedClip, prepare_clip
from ...reward.qwen2vl_network import Qwen2VLRewardNetwork
from ...reward.settings import FrameSampling

MAP = 8  # cells along a side of the coverage map that is asked for
COUNTS = 3
CENTRE = 4  # middle (x, y) of the shapes in the first frame of the pair, half the frame being 1; then how far it moves
STEP = 2.0  # world units that count as 1 in that movement: about a frame of normal motion


def pretrain_vision(
    network: Qwen2VLRewardNetwork, sampling: FrameSampling, steps: int, batch_size: int, rate: float, seed: int
) -> Iterator[dict[str, float]]:
    """Train the vision tower and its merger; yields the parts of each step's loss.

    Args:
        batch_size: clips a step.
        rate: highest learning rate, after a linear warm-up and before a cosine decay.
    """
    torch.manual_seed(seed)
    hidden = network.rm_head.weight.shape[1]
    tokens = sampling_tokens(sampling)
    readout = nn.Linear(tokens * hidden, sum(_SIZES.values()))
    parameters = [*network.visual.parameters(), *readout.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    with ThreadPoolExecutor(1) as pool:

        def load(step: int) -> list[tuple[PreparedClip, np.ndarray]]:
            rngs = [np.random.default_rng([seed, step, index, 7]) for index in range(batch_size)]
            return [_example(rng, sampling) for rng in rngs]

        waiting = pool.submit(load, 0)
        for step in range(steps):
            batch = waiting.result()
            if step + 1 < steps:
                waiting = pool.submit(load, step + 1)
            features = network.embed_clips([clip.patches for clip, _ in batch], [clip.grid for clip, _ in batch])
            pairs = torch.cat(
                [feature.reshape(clip.grid[0], -1) for feature, (clip, _) in zip(features, batch, strict=True)]
            )
            target = torch.from_numpy(np.concatenate([answer for _, answer in batch]))
            losses = _losses(readout(pairs), target)
            optimizer.zero_grad(set_to_none=True)
            sum(losses.values()).backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            yield {name: loss.item() for name, loss in losses.items()}


def sampling_tokens(sampling: FrameSampling) -> int:
    """Merged tokens of a square frame of the sampling's size."""
    return round(sampling.max_pixels**0.5 / 28) ** 2


def _example(rng: np.random.Generator, sampling: FrameSampling) -> tuple[PreparedClip, np.ndarray]:
    """A clip and, for each pair of its sampled frames, what there is to see: [pairs, answers] float32."""
    form = ClipFormat()
    scene = sample_scene(rng)
    faults = sample_faults(rng, VISUAL_FAULTS) + sample_faults(rng, MOTION_FAULTS)
    path = faulty_path(rng, scene, faults, form)
    degree = {fault.kind: fault.degree for fault in faults}
    frames = flicker(rng, draw_frames(scene, path, form.size), degree.get("flicker", 0.0))
    clip = prepare_clip(Frames(to_uint8(spoil_frames(rng, frames, faults)), form.fps), sampling)
    scale = MAP / FRAME
    t, count, _ = path.shape
    cells = coverage(scene.shape, path.reshape(-1, 2) * scale, scene.diameter * scale, MAP)
    cells = cells.reshape(t, count, MAP * MAP).max(axis=1)[clip.indices].reshape(clip.grid[0], -1)
    shared = np.zeros(len(SHAPES) + COUNTS + 1 + len(VISUAL_FAULTS), np.float32)
    shared[list(SHAPES).index(scene.shape)] = 1
    shared[len(SHAPES) + scene.count - 1] = 1
    shared[len(SHAPES) + COUNTS] = scene.ground_kind == "textured"
    shared[len(SHAPES) + COUNTS + 1 :] = [degree.get(kind, 0.0) for kind in VISUAL_FAULTS]
    middle = path.mean(axis=1)[clip.indices].reshape(clip.grid[0], 2, 2)  # pair, frame, xy
    moved = (middle[:, 1] - middle[:, 0]) / STEP
    shared = np.repeat(shared[None], clip.grid[0], axis=0)
    answer = np.concatenate([cells, middle[:, 0] / (FRAME / 2) - 1, moved, shared], axis=1)
    return clip, answer.astype(np.float32)


_SIZES = {
    "coverage": 2 * MAP * MAP,
    "centre": CENTRE,
    "shape": len(SHAPES),
    "count": COUNTS,
    "ground": 1,
    "faults": len(VISUAL_FAULTS),
}


def _losses(predicted: torch.Tensor, wanted: torch.Tensor) -> dict[str, torch.Tensor]:
    sizes = list(_SIZES.values())
    parts = dict(zip(_SIZES, zip(predicted.split(sizes, 1), wanted.split(sizes, 1), strict=True), strict=True))
    return {
        "coverage": 10 * F.mse_loss(*parts["coverage"]),
        "centre": 5 * F.mse_loss(*parts["centre"]),
        "shape": F.cross_entropy(*parts["shape"]),
        "count": F.cross_entropy(*parts["count"]),
        "ground": F.binary_cross_entropy_with_logits(*parts["ground"]),
        "faults": 30 * F.mse_loss(*parts["faults"]),
    }
