"""A tiny Wan with random weights, a latent reward on its first two blocks, and noisy latents for it."""

import pytest
import torch

from videoalign.backbones.loading import build_backbone
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.latent.calibration import Calibration, even_edges
from videoalign.reward.latent.heads import HeadConfig
from videoalign.reward.latent.latent_reward import LatentReward, TrainingRecord

TINY_WAN = {
    "patch_size": [1, 2, 2], "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 16, "out_channels": 16,
    "text_dim": 20, "freq_dim": 16, "ffn_dim": 32, "num_layers": 4,
}  # fmt: skip


@pytest.fixture
def tiny_wan():
    """Build a tiny Wan; keyword arguments change its configuration."""

    def build(num_blocks=None, **changes):
        torch.manual_seed(0)
        return build_backbone("wan", {**TINY_WAN, **changes}, num_blocks)

    return build


@pytest.fixture
def calibration():
    row = (0.5, 0.75)
    return Calibration(
        even_edges(2),
        accuracy=dict.fromkeys(DIMENSIONS, row),
        pairs=dict.fromkeys(DIMENSIONS, (4, 4)),
        gradient_scale={"VQ": (1.0, 2.0), "MQ": (3.0, 4.0), "TA": (5.0, 6.0)},
        mean=dict.fromkeys(DIMENSIONS, 0.25),
        std=dict.fromkeys(DIMENSIONS, 2.0),
    )


@pytest.fixture
def reward(tiny_wan, calibration):
    """Build a latent reward with heads of the given kind."""

    def build(kind="motion", num_blocks=2):
        trunk = tiny_wan(num_blocks)
        torch.manual_seed(1)
        record = TrainingRecord(data="abc", text_encoder="micro-text-1", steps=3)
        return LatentReward(trunk, HeadConfig(kind, 16), calibration, record).requires_grad_(False).eval()

    return build


@pytest.fixture
def noisy():
    """(x_t, sigma, conditioning) of a batch; latents [batch, 16, frames, height, width]."""

    def make(batch=2, frames=3, height=4, width=6, dtype=torch.float32, seed=3):
        generator = torch.Generator().manual_seed(seed)
        x_t = torch.randn(batch, 16, frames, height, width, generator=generator).to(dtype)
        sigma = torch.rand(batch, generator=generator)
        return x_t, sigma, {"text": torch.randn(batch, 5, 20, generator=generator).to(dtype)}

    return make
