"""The forward pass of reward training: rewards of both sides of each pair, and the preference loss."""

from __future__ import annotations

import torch
from torch import nn

from ...reward.preference_losses import preference_loss
from ...reward.video_reward import VideoReward
from ..pair_targets import accuracy
from .config import LossConfig
from .pair_batches import PairBatch


class PairReward(nn.Module):
    """Wraps a ``VideoReward`` so that gradients of several processes are averaged over one module."""

    def __init__(self, reward: VideoReward, loss: LossConfig) -> None:
        super().__init__()
        self.network = reward.network
        self.reward = reward
        self.loss = loss

    def forward(self, batch: PairBatch) -> tuple[torch.Tensor, dict[str, tuple[float, float]]]:
        """Loss of a batch, and per dimension the share of untied pairs that it ranks right with their number."""
        rewards_a, rewards_b = self.rewards(batch)
        labels = batch.labels.to(rewards_a.device)
        options = {"reduction": self.loss.reduction, "weights": batch.weights.to(rewards_a.device)}
        scores = [side.to(rewards_a.device) for side in (batch.scores_a, batch.scores_b)]
        loss = preference_loss(self.loss.type, rewards_a, rewards_b, labels, *scores, **options)
        return loss, accuracy((rewards_a - rewards_b).detach(), labels)

    def rewards(self, batch: PairBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Raw rewards of the sides A and B: two [pairs, 3]."""
        rewards = torch.stack(self.reward.raw_rewards(batch.clips, batch.captions))
        return rewards[batch.a], rewards[batch.b]
