"""Teach the micro language model to follow a clip over time and to check a caption against it, from the world's truth.

The language model reads the frames in order and then a caption, which may be wrong. After each pair of frames it is asked
where the shapes are and how they move, after the last pair what the clip shows and what spoils it, after the caption
which of its words are wrong. Preferences say as much, but one bit at a time. The read-outs used here are thrown away.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from ...micro_world.answers import contradictions, fault_degrees, shown_values
from ...micro_world.clip import sample_faults, sample_mismatch
from ...micro_world.faults import MOTION_FAULTS, VISUAL_FAULTS, faulty_path, flicker, spoil_frames
from ...micro_world.read_outs import ClipReadOuts
from ...micro_world.render import draw_frames, to_uint8
from ...micro_world.scene import (
    FRAME,
    SHAPES,
    TEXT_ATTRIBUTES,
    ClipFormat,
    caption,
    sample_attributes,
    sample_scene,
)
from ...reward.clip import Frames, PreparedClip, prepare_clip
from ...reward.qwen2vl_network import Qwen2VLRewardNetwork
from ...reward.reward_tokenizer import RewardTokenizer
from ...reward.settings import FrameSampling
from .vision_pretraining import sampling_tokens

STEP = 4.0  # world units that count as 1 where a displacement is asked for: about two frames of normal motion
MOTION = 6  # numbers asked for after each pair of frames: position, step since the last pair, step within this pair


@dataclass(frozen=True)
class Example:
    """A prepared clip, a caption, and the answers.

    Attributes:
        motion: [pairs of frames, MOTION] float32.
        faults: degrees of all faults.
        shown: index of the value shown for each of TEXT_ATTRIBUTES.
        wrong: [len(TEXT_ATTRIBUTES)] 1 where the caption contradicts the clip.
    """

    clip: PreparedClip
    text: str
    motion: np.ndarray
    faults: np.ndarray
    shown: list[int]
    wrong: list[float]


class ReadOuts(nn.Module):
    """The linear questions put to the language model's hidden states, and one to the vision tower.

    Shape is what the tower learns last, and too slowly if it is only asked through the language model.
    """

    def __init__(self, hidden: int, tokens: int):
        super().__init__()
        self.shape = nn.Linear(tokens * hidden, len(SHAPES))
        self.motion = nn.Linear(hidden, MOTION)
        self.clip = ClipReadOuts(hidden)


def pretrain_watching(
    network: Qwen2VLRewardNetwork,
    tokenizer: RewardTokenizer,
    sampling: FrameSampling,
    steps: int,
    batch_size: int,
    rate: float,
    seed: int,
) -> Iterator[dict[str, float]]:
    """Train all of the network but its head; yields the parts of each step's loss.

    Args:
        tokenizer: bound to a template that is the caption alone.
        batch_size: clips a step.
        rate: highest learning rate, after a linear warm-up and before a cosine decay.
    """
    torch.manual_seed(seed)
    readouts = ReadOuts(network.rm_head.weight.shape[1], sampling_tokens(sampling))
    parameters = [p for name, p in network.named_parameters() if not name.startswith("rm_head")]
    parameters += readouts.parameters()
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)

    def load(step: int) -> list[Example]:
        return [_example(np.random.default_rng([seed, step, index, 8]), sampling) for index in range(batch_size)]

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(load, 0)
        for step in range(steps):
            batch = waiting.result()
            if step + 1 < steps:
                waiting = pool.submit(load, step + 1)
            losses = _losses(network, tokenizer, readouts, batch)
            optimizer.zero_grad(set_to_none=True)
            sum(losses.values()).backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            yield {name: loss.item() for name, loss in losses.items()}


def _example(rng: np.random.Generator, sampling: FrameSampling) -> Example:
    form = ClipFormat()
    described = sample_attributes(rng)
    scene = sample_scene(rng, sample_mismatch(rng, described), form)
    faults = sample_faults(rng, VISUAL_FAULTS) + sample_faults(rng, MOTION_FAULTS)
    path = faulty_path(rng, scene, faults, form)
    degree = {fault.kind: fault.degree for fault in faults}
    frames = flicker(rng, draw_frames(scene, path, form.size), degree.get("flicker", 0.0))
    clip = prepare_clip(Frames(to_uint8(spoil_frames(rng, frames, faults)), form.fps), sampling)
    centre = path.mean(axis=1)[clip.indices].reshape(clip.grid[0], 2, 2)  # pair of frames, frame, xy
    middle = centre.mean(axis=1)
    motion = [middle / (FRAME / 2) - 1, np.diff(middle, axis=0, prepend=middle[:1]) / STEP]
    motion.append((centre[:, 1] - centre[:, 0]) / STEP)
    return Example(
        clip=clip,
        text=caption(described),
        motion=np.concatenate(motion, axis=1).astype(np.float32),
        faults=fault_degrees(faults),
        shown=shown_values(scene),
        wrong=contradictions(scene, described),
    )


def _losses(
    network: Qwen2VLRewardNetwork, tokenizer: RewardTokenizer, readouts: ReadOuts, batch: list[Example]
) -> dict[str, torch.Tensor]:
    ids = [tokenizer.encode(f" {example.text}", example.clip.video_tokens) for example in batch]
    longest = max(map(len, ids))
    padded = torch.tensor([row + [tokenizer.pad_token_id] * (longest - len(row)) for row in ids])
    clips = [example.clip for example in batch]
    features = torch.cat(network.embed_clips([clip.patches for clip in clips], [clip.grid for clip in clips]))
    is_video = padded == tokenizer.video_token_id
    embeddings = network.embed_tokens(padded).masked_scatter(is_video[..., None], features)
    hidden = network.read(embeddings)
    rows = torch.arange(len(batch))
    positions = is_video.nonzero()[:, 1].reshape(len(batch), clips[0].grid[0], -1)[..., -1]  # last token of each pair
    followed = hidden[rows[:, None], positions]
    seen = followed[:, -1]
    read = hidden[rows, torch.tensor([len(row) - 1 for row in ids])]
    motion = torch.from_numpy(np.stack([example.motion for example in batch]))
    pairs = features.reshape(len(batch) * clips[0].grid[0], -1)
    shape = torch.tensor([example.shown[TEXT_ATTRIBUTES.index("shape")] for example in batch])
    return {
        "shape in a pair": F.cross_entropy(readouts.shape(pairs), shape.repeat_interleave(clips[0].grid[0])),
        "motion": 5 * F.mse_loss(readouts.motion(followed), motion),
        **readouts.clip.losses(seen, read, batch),
    }
