"""Counted steps of both trainers of rewards against what the allocator gave out for the same step on real tensors."""

import pytest
import torch
from measured_memory import allocated
from tiny_backbones import CONFIGS, tiny
from torch.utils.flop_counter import FlopCounterMode

from videoalign.backbones.families import backbone_classes
from videoalign.micro.video_reward.base_model import write_base_model
from videoalign.micro_world import write_dataset
from videoalign.training.latent_reward.config import Config as LatentConfig
from videoalign.training.latent_reward.preference import PreferenceStep
from videoalign.training.latent_reward.trainable import build_trainable
from videoalign.training.plan.latent_reward_plan import count_latent_reward
from videoalign.training.plan.latent_reward_plan import pair_batch as latent_batch
from videoalign.training.plan.video_reward_plan import clip_grid, count_video_reward
from videoalign.training.video_reward.config import Config as VideoConfig
from videoalign.training.video_reward.task import VideoRewardTask

LATENTS = {"wan-t2v": (16, 3, 16, 16), "hunyuan-video": (16, 3, 16, 16), "ltx-video": (128, 5, 16, 16)}
TOKENS, PAIRS, FPS = 24, 2, 16.0
CLOSE = 0.1  # the aim; what differs is what the kernels need inside of themselves


def measured(module, rewards):
    """Bytes beside weights and gradients, and operations, of a pass with the gradients there."""
    module.train()

    def run():
        a, b = rewards()
        (a - b).sum().backward()

    with FlopCounterMode(display=False) as operations:
        run()
    return allocated(run), operations.get_total_flops()


def agrees(counted, peak, operations):
    assert counted.activations == pytest.approx(peak, rel=CLOSE)
    assert counted.operations == operations


@pytest.mark.parametrize(
    ("name", "lora", "checkpointing"),
    [("wan-t2v", False, False), ("wan-t2v", True, True)]
    + [
        pytest.param(*other, marks=pytest.mark.slow)
        for other in (("wan-t2v", False, True), ("hunyuan-video", True, False), ("ltx-video", False, False))
    ],
)
def test_a_latent_rewards_step(name, lora, checkpointing):
    model = {"trunk": "t", "vae": "v", "text_encoder": "micro", "lora": lora, "lora_rank": 4, "head_width": 16}
    config = LatentConfig(
        output="o", micro_batch_size=PAIRS, data={"train": ["x"]}, model={**model, "gradient_checkpointing": checkpointing}
    )  # fmt: skip
    family, values = CONFIGS[name]
    kind = backbone_classes()[family]
    whole = kind.with_defaults(values)
    with torch.device("meta"):
        trunk = kind(kind.build_module(whole), whole)
    counted = count_latent_reward(config, trunk, LATENTS[name], TOKENS)

    real = tiny(name)
    batch = latent_batch(real, LATENTS[name], TOKENS, PAIRS, FPS)
    for tensor in (batch.latents, batch.noise, batch.sigma, batch.conditioning["text"]):
        torch.nn.init.uniform_(tensor)
    module = PreferenceStep(build_trainable(config, real, batch), config.loss, clean_latents=False)
    agrees(counted, *measured(module, lambda: module.rewards(batch)))
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    assert counted.trained == sum(weight.numel() for weight in trained)
    frozen = [one for one in [*module.parameters(), *module.buffers()] if not one.requires_grad]
    assert counted.frozen == sum(one.nbytes for one in frozen)


@pytest.mark.parametrize("changes", [{}, pytest.param({"lora": False}, marks=pytest.mark.slow)], ids=["lora", "whole"])
def test_a_video_rewards_step(tmp_path, changes):
    write_base_model(tmp_path / "base", "micro", seed=0)
    write_dataset(tmp_path / "data", 4, seed=5)
    config = VideoConfig(
        output=tmp_path / "run",
        micro_batch_size=PAIRS,
        data={
            "train": [tmp_path / "data" / "pairs.csv"], "eval": [tmp_path / "data" / "pairs.jsonl"], "fps": 8.0,
            "min_frame_pixels": 3136, "max_frame_pixels": 3136, "template": "micro",
        },
        model={"base": tmp_path / "base", "lora_rank": 4, "lora_alpha": 8, "torch_dtype": "float32", **changes},
    )  # fmt: skip
    task = VideoRewardTask(config)
    longest = max(task.train.pairs, key=lambda pair: len(pair.prompt))
    batch = task.train.batch([task.train.pairs.index(longest)] * PAIRS)
    sampling = task.reward.settings.sampling
    grids = [clip_grid(clip, sampling) for clip in longest.clips.values()]
    assert grids == [clip.grid for clip in batch.clips]
    # The same clips twice, as if they were four: what is counted is a batch in which none comes again.
    batch = type(batch)(
        batch.clips * PAIRS, batch.captions * PAIRS, [0, 2], [1, 3], batch.labels, batch.scores_a, batch.scores_b, batch.weights,
    )  # fmt: skip
    counted = count_video_reward(config, grids, longest)
    agrees(counted, *measured(task.module, lambda: task.module.rewards(batch)))
    assert counted.trained == sum(weight.numel() for weight in task.module.parameters() if weight.requires_grad)
