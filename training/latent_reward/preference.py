"""The forward pass of latent reward training: both sides of each pair at one noise, and the preference loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...backbones.flow_path import add_noise
from ...reward.latent.latent_reward import LatentReward
from ...reward.preference_losses import preference_loss
from ..pair_targets import accuracy
from .config import LossConfig
from .features import tokens_alone
from .pairs import LatentPairBatch


class PreferenceStep(nn.Module):
    """Wraps a ``LatentReward`` so that gradients of several processes are averaged over one module.

    Args:
        clean_latents: the network sees x_0 and is told sigma all the same (the ablation of training without noise).
        frozen: the trunk is not trained; it sees clips one by one, as where its features are stored.
    """

    def __init__(self, reward: LatentReward, loss: LossConfig, clean_latents: bool, frozen: bool = False) -> None:
        super().__init__()
        self.reward, self.loss, self.clean_latents, self.frozen = reward, loss, clean_latents, frozen

    def forward(self, batches: Sequence[LatentPairBatch]) -> tuple[Tensor, dict]:
        """Mean loss of a micro batch, and per dimension the share of untied pairs ranked right with their number.

        Args:
            batches: the micro batch, grouped by latent shape.
        """
        losses, leads = [], []
        for batch in batches:
            rewards_a, rewards_b = self.rewards(batch, self.clean_latents)
            losses.append(self._loss(batch, rewards_a, rewards_b) * len(batch.labels))
            leads.append((rewards_a - rewards_b).detach())
        labels = torch.cat([batch.labels for batch in batches])
        lead = torch.cat(leads)
        return sum(losses) / len(labels), accuracy(lead, labels)

    def _loss(self, batch: LatentPairBatch, rewards_a: Tensor, rewards_b: Tensor) -> Tensor:
        device = rewards_a.device
        options = {"k": self.loss.tie_factor} if self.loss.type == "btt" else {}
        options |= {"reduction": self.loss.reduction, "weights": batch.weights.to(device)}
        scores = [side.to(device) for side in (batch.scores_a, batch.scores_b)]
        return preference_loss(self.loss.type, rewards_a, rewards_b, batch.labels.to(device), *scores, **options)

    def rewards(self, batch: LatentPairBatch, clean_latents: bool = False) -> tuple[Tensor, Tensor]:
        """Raw rewards of the sides A and B: two [pairs, 3], float32."""
        device = next(self.reward.parameters()).device
        sigma = batch.sigma.to(device)
        if batch.features is not None:
            rewards = self.reward.rate(batch.features.to(device), sigma)
        elif self.frozen and not clean_latents:
            each = zip(batch.latents, batch.noise, batch.sigma, batch.told, strict=True)
            rewards = self.reward.rate(torch.stack([tokens_alone(self.reward, *one) for one in each]), sigma)
        else:
            latents, noise = batch.latents.to(device), batch.noise.to(device)
            conditioning = {name: value.to(device) for name, value in batch.conditioning.items()}
            seen = latents if clean_latents else add_noise(latents.float(), noise, sigma)
            rewards = self.reward(seen, sigma, conditioning)
        return rewards[batch.a], rewards[batch.b]
