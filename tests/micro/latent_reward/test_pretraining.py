"""The trunk's learning to see: its answers are the clip's, and it learns them."""

import numpy as np
import pytest
import torch
from tiny_backbones import tiny

from videoalign.micro.latent_reward.pretraining import STEP, STRIDE, pretrain, truth_of
from videoalign.micro_world import iterate_prompt_groups
from videoalign.micro_world.scene import DIRECTIONS, FRAME


def test_positions_and_movement_are_those_of_the_clip_s_path():
    groups = (pair for pair, _ in zip(iterate_prompt_groups(5, 2), range(20), strict=False))
    described, clip = next((d, c) for d, clips in groups for c in clips if not c.faults)
    truth = truth_of(clip, described)
    centre = clip.path.mean(axis=1)
    assert truth.motion.shape == (5, 2 + 2 * STRIDE)
    np.testing.assert_allclose((truth.motion[0, :2] + 1) * FRAME / 2, centre[0], rtol=1e-5)
    np.testing.assert_allclose((truth.motion[2, :2] + 1) * FRAME / 2, centre[5:9].mean(axis=0), rtol=1e-5)
    steps = truth.motion[1:, 2:].reshape(-1, 2) * STEP
    np.testing.assert_allclose(steps.sum(axis=0), centre[-1] - centre[0], atol=1e-3)
    along = np.asarray(DIRECTIONS[clip.scene.direction])
    assert (steps @ along > 0).all()  # a faultless clip always moves on


@pytest.mark.parametrize("clean", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_it_learns_and_equal_seeds_learn_the_same(clean):
    groups = iterate_prompt_groups(6, 4)
    truths = [
        truth_of(clip, described) for _, (described, clips) in zip(range(2), groups, strict=False) for clip in clips
    ]
    latents = torch.randn(len(truths), 16, 5, 8, 8, generator=torch.Generator().manual_seed(0))
    ends = []
    for _ in range(2):
        trunk = tiny("wan-t2v", text_dim=4096)
        losses = [sum(parts.values()) for parts in pretrain(trunk, latents, truths, 25, 8, 3e-3, seed=1, clean=clean)]
        assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
        ends.append(losses[-1])
    assert ends[0] == ends[1]
