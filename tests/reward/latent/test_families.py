"""Latent rewards on the first blocks of every family's network."""

import pytest
import torch
from tiny_backbones import CONFIGS, inputs, save_single, tiny

from videoalign.backbones.loading import load_backbone
from videoalign.reward.latent.heads import HeadConfig
from videoalign.reward.latent.latent_reward import LatentReward
from videoalign.reward.latent.reward_file import load_latent_reward, save_latent_reward


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "wan-flf2v"])
def test_every_family_gives_rewards_with_gradients_and_its_file_gives_the_same(name, calibration, tmp_path):
    whole = tiny(name)
    trunk = load_backbone(save_single(whole, tmp_path / "model.safetensors"), num_blocks=2)
    torch.manual_seed(0)
    reward = LatentReward(trunk, HeadConfig("motion", 8), calibration).requires_grad_(False)  # as one of a file
    x_t, sigma, conditioning = inputs(trunk)
    x_t.requires_grad_(True)
    rewards = reward.rewards(x_t, sigma, conditioning)
    assert rewards.shape == (2, 3)
    (gradient,) = torch.autograd.grad(rewards.sum(), x_t)
    assert gradient.isfinite().all() and (gradient.flatten(1).norm(dim=1) > 0).all()
    save_latent_reward(tmp_path / "reward.safetensors", reward, torch.float32)
    again = load_latent_reward(tmp_path / "reward.safetensors")
    assert again.trunk.name == whole.name and again.trunk.total_blocks == len(whole.blocks)
    assert torch.equal(again.rewards(x_t, sigma, conditioning), rewards)


def test_the_trunk_s_tokens_are_those_that_the_whole_network_has_after_so_many_blocks(tmp_path):
    whole = tiny("wan-t2v")
    trunk = load_backbone(save_single(whole, tmp_path / "model.safetensors"), num_blocks=2)
    given = inputs(trunk)
    seen = []
    handle = whole.blocks[1].register_forward_hook(lambda _module, _arguments, output: seen.append(output))
    whole.velocity(*given)
    handle.remove()
    assert torch.allclose(trunk.features(*given), seen[0], atol=1e-5)
