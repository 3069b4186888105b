"""The forward pass of latent reward training: both sides of each pair at one noise, and the preference loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...reward.latent.latent_reward import LatentReward
from ...reward.preference_losses import preference_loss
from ...reward.settings import DIMENSIONS
from .config import LossConfig
from .noise import add_noise
from .pairs import LatentPairBatch


class PreferenceStep(nn.Module):
    """Wraps a ``LatentReward`` so that gradients of several processes are averaged over one module.

    Args:
        clean_latents: the network sees x_0 and is told t all the same (the ablation of training without noise).
    """

    def __init__(self, reward: LatentReward, loss: LossConfig, clean_latents: bool) -> None:
        super().__init__()
        self.reward, self.loss, self.clean_latents = reward, loss, clean_latents

    def forward(self, batch: LatentPairBatch) -> tuple[Tensor, dict]:
        """Loss of a batch, and per dimension the share of untied pairs that it ranks right with their number."""
        rewards_a, rewards_b = self.rewards(batch, self.clean_latents)
        labels = batch.labels.to(rewards_a.device)
        options = {"k": self.loss.tie_factor} if self.loss.type == "btt" else {}
        options |= {"reduction": self.loss.reduction, "weights": batch.weights.to(rewards_a.device)}
        scores = [side.to(rewards_a.device) for side in (batch.scores_a, batch.scores_b)]
        loss = preference_loss(self.loss.type, rewards_a, rewards_b, labels, *scores, **options)
        return loss, accuracy((rewards_a - rewards_b).detach(), labels)

    def rewards(self, batch: LatentPairBatch, clean_latents: bool = False) -> tuple[Tensor, Tensor]:
        """Raw rewards of the sides A and B: two [pairs, 3], float32."""
        device = next(self.reward.parameters()).device
        latents, noise, t = (value.to(device) for value in (batch.latents, batch.noise, batch.t))
        conditioning = {name: value.to(device) for name, value in batch.conditioning.items()}
        seen = latents if clean_latents else add_noise(latents, noise, t)
        rewards = self.reward(seen, t, conditioning)
        return rewards[batch.a], rewards[batch.b]


def accuracy(difference: Tensor, labels: Tensor) -> dict[str, tuple[float, float]]:
    """``acc_VQ``, ``acc_MQ``, ``acc_TA``: (share of pairs with a winner that are ranked right, their number).

    A difference of exactly 0 counts half: a reward that says nothing is right half of the time.
    """
    values = {}
    for place, name in enumerate(DIMENSIONS):
        untied = labels[:, place].abs() == 1
        if count := int(untied.sum()):
            agreement = torch.sign(difference[untied, place]) * labels[untied, place]
            values[f"acc_{name}"] = (((agreement + 1) / 2).mean().item(), float(count))
    return values
