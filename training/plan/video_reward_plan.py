"""The plan of a VideoReward's training, counted on the base model at its real size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ...backbones.devices import autocast
from ...backbones.meta_device import on_meta
from ...errors import CheckpointError
from ...planning.counting import without_content
from ...planning.run_plan import RunPlan
from ...preferences.preference_file import ResolvedPair
from ...reward.clip import PreparedClip
from ...reward.frame_pixels import PATCH_SIZE, TEMPORAL_PATCH_SIZE
from ...reward.frame_sampling import frame_count, resized_size
from ...reward.loading import DTYPES
from ...reward.qwen2vl_network import Qwen2VLRewardNetwork
from ...reward.reward_tokenizer import RewardTokenizer, read_tokenizer
from ...reward.settings import FrameSampling
from ...reward.template import load_template
from ...reward.video_reward import VideoReward
from ..latent_cache.clip_pixels import clip_shape
from ..loop.run_length import VISIBLE
from ..pair_targets import pair_targets
from ..video_reward.config import Config
from ..video_reward.pair_batches import PairBatch
from ..video_reward.pair_reward import PairReward
from ..video_reward.task import load_pairs
from ..video_reward.trainable import choose_trained, read_network_config, reward_settings
from .rewards import PairStep, at_once, changed_ways, count_pass, operations_said, reward_run

LOOKED_AT = 32
"""Pairs whose clips are opened to see their sizes, evenly spread over the data."""
_NUMBERS = 3 * TEMPORAL_PATCH_SIZE * PATCH_SIZE**2  # of a patch
Grid = tuple[int, int, int]
"""A clip's patches along time, height and width."""


def plan_video_reward(config: Config) -> RunPlan:
    """Read the pairs, look at the sizes of some clips, and count a step; nothing is loaded or written.

    Raises:
        VideoAlignError: what the training itself would refuse before its first step.
    """
    train, held_out = load_pairs(config)
    sampling = reward_settings(config).sampling
    stride = max(1, len(train) // LOOKED_AT)
    looked_at = train[::stride][:LOOKED_AT]
    grids = {pair.name: [clip_grid(clip, sampling, pair.fps) for clip in pair.clips.values()] for pair in looked_at}
    largest = max(looked_at, key=lambda pair: _patches(grids[pair.name]))
    share = sum(map(_patches, grids.values())) / len(grids) / _patches(grids[largest.name])
    step = count_video_reward(config, grids[largest.name], largest)
    rates = config.optimizer
    run = reward_run(
        config, len(train), len(held_out), max(rates.learning_rate, rates.vision_lr, rates.merger_lr, rates.special_token_lr), VISIBLE
    )  # fmt: skip
    training = step.operations / step.pairs * run.samples * share
    t, h, w = max(grids[largest.name], key=math.prod)
    spread = (
        ""
        if share == 1
        else f"; the mean of them has {100 * share:.0f} % of the largest's patches (estimate for the operations)"
    )
    return RunPlan(
        head=(
            *run.head,
            f"The largest clip of {len(looked_at)} pairs that were looked at: {TEMPORAL_PATCH_SIZE * t} frames of {PATCH_SIZE * w}x{PATCH_SIZE * h}, "
            f"{t * h * w // 4} tokens{spread}.",
        ),
        at_once=f"{at_once(step.pairs)} of that size",
        parts=step.parts,
        operations=training,
        operations_said=(f"{operations_said(step, training)}.",),
        ways=lambda: changed_ways(
            _LADDER, config, lambda one: count_video_reward(one, grids[largest.name], largest), step.needed
        ),
        smaller=lambda _room: "clips of fewer or smaller frames may (data.fps, max_frame_pixels)",
        concerns=run.concerns,
    )


_LADDER = (
    (
        "precision = bfloat16",
        lambda config: None if config.precision == "bfloat16" else config.model_copy(update={"precision": "bfloat16"}),
    ),
    (
        "micro_batch_size = 1",
        lambda config: None if config.micro_batch_size == 1 else config.model_copy(update={"micro_batch_size": 1}),
    ),
    (
        "model.train_vision = false",
        lambda config: (
            None
            if not config.model.train_vision
            else config.model_copy(update={"model": config.model.model_copy(update={"train_vision": False})})
        ),
    ),
)


def clip_grid(clip: Path, sampling: FrameSampling, fps: float | None = None) -> Grid:
    """The patches of a clip as it will be shown; its first frame is decoded, no more.

    Raises:
        ClipError: it cannot be read, or not be scored.
    """
    shape = clip_shape(clip)
    frames = frame_count(shape.frames, fps or shape.fps, sampling)
    height, width = resized_size(shape.height, shape.width, sampling)
    return frames // TEMPORAL_PATCH_SIZE, height // PATCH_SIZE, width // PATCH_SIZE


def _patches(grids: Sequence[Grid]) -> int:
    return sum(map(math.prod, grids))


def count_video_reward(config: Config, grids: Sequence[Grid], pair: ResolvedPair) -> PairStep:
    """Count a micro batch of pairs whose clips have these patches. The loss itself, of three numbers a pair, is left out.

    Args:
        grids: of the two clips.
        pair: whose prompt and labels all have.

    Raises:
        CheckpointError: the base folder is not a Qwen2-VL model.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    settings, base = reward_settings(config), config.model.base
    tokenizer = read_tokenizer(base)
    if tokenizer is None:
        raise CheckpointError(f"{base} holds no tokenizer (tokenizer.json, or vocab.json and merges.txt).")
    words = RewardTokenizer(tokenizer, load_template(settings.template))
    with on_meta():
        network = Qwen2VLRewardNetwork(read_network_config(base), len(words), settings.output_dim)
        choose_trained(network, config, words.reward_token_ids)
    with FakeTensorMode(allow_non_fake_inputs=True):
        without_content(network)
        network.set_rotary_precision(DTYPES[settings.torch_dtype], "cpu")
        module = PairReward(VideoReward(network, words, settings), config.loss)
        module.train()
        batch = pair_batch(grids, pair, config.micro_batch_size)

        def run() -> torch.Tensor:
            with autocast(torch.device("cpu"), torch.bfloat16, enabled=config.precision == "bfloat16"):
                a, b = module.rewards(batch)
            return (a - b).sum()

        given = [clip.patches for clip in batch.clips]
        return replace(count_pass(module, given, run), pairs=config.micro_batch_size)


def pair_batch(grids: Sequence[Grid], pair: ResolvedPair, pairs: int) -> PairBatch:
    """Pairs of clips with these patches, with nothing in them."""
    clips = [
        PreparedClip(torch.empty(math.prod(grid), _NUMBERS), grid, [], (0, 0), 0, 0.0)
        for _ in range(pairs)
        for grid in grids
    ]
    a, b = list(range(0, 2 * pairs, 2)), list(range(1, 2 * pairs, 2))
    return PairBatch(clips, [pair.prompt] * (2 * pairs), a, b, *pair_targets([pair.pair] * pairs))
