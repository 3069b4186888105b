"""What is measured of a latent reward on held-out pairs: accuracy by noise level, spread, and steepness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ...backbones.flow_path import add_noise
from ...reward.dimensions import DIMENSIONS
from ...reward.latent.calibration import Calibration, even_edges
from ...reward.latent.latent_reward import LatentReward
from ..pair_targets import accuracy
from .pairs import LatentPairBatch, LatentPairData
from .preference import PreferenceStep

LEAST_STD = 1e-6


class HeldOut:
    """Held-out pairs, each judged once in every bin of sigma, at a fixed sigma and noise.

    Args:
        pairs: how many of the data's pairs are used; all by default.
        size: pairs that are held in memory at once.
    """

    def __init__(self, data: LatentPairData, bins: int, seed: int, size: int) -> None:
        self.data, self.seed, self.size = data, seed, size
        self.edges = even_edges(bins)

    def rewards(self, step: PreferenceStep, pairs: int | None = None) -> list[tuple[int, Tensor, Tensor, Tensor]]:
        """(bin, rewards of A [P, 3], of B [P, 3], labels [P, 3]) for each bin and batch; all on the CPU.

        With several processes each judges a share of the pairs, and all get everything.
        """
        from accelerate import PartialState
        from accelerate.utils import gather_object

        process = PartialState()
        rows = range(len(self.data))[:pairs]
        mine = list(rows[process.process_index :: process.num_processes])
        judged = []
        with torch.no_grad():
            for index, batch in self._batches(mine):
                a, b = step.rewards(batch)
                judged.append((index, a.cpu(), b.cpu(), batch.labels))
        return gather_object(judged) if process.num_processes > 1 else judged

    def accuracy(self, step: PreferenceStep, pairs: int | None = None) -> dict[str, float]:
        """``acc_D`` over all bins and ``acc_D/0-0.1`` by bin of sigma for each dimension, ``acc`` the mean."""
        judged = self.rewards(step, pairs)
        shares, _ = self._table(judged)
        metrics, overall = {}, []
        for name in DIMENSIONS:
            measured = {index: share for index, share in enumerate(shares[name]) if share is not None}
            if measured:
                overall.append(sum(measured.values()) / len(measured))
                metrics[f"acc_{name}"] = overall[-1]
                for index, share in measured.items():
                    low, high = self.edges[index], self.edges[index + 1]
                    metrics[f"acc_{name}/{low:.2g}-{high:.2g}"] = share
        return {**metrics, "acc": sum(overall) / len(overall)} if overall else {}

    def calibration(self, step: PreferenceStep, gradient_pairs: int) -> Calibration:
        """All that is written into the file (see ``Calibration``)."""
        judged = self.rewards(step)
        shares, counts = self._table(judged)
        rewards = torch.cat([side for _, a, b, _ in judged for side in (a, b)]) if judged else None
        mean, std = (torch.zeros(len(DIMENSIONS)),) * 2  # of nothing
        if rewards is not None:
            mean, std = rewards.mean(0), rewards.std(0).clamp(min=LEAST_STD)
        scales = self._gradient_scales(step.reward, gradient_pairs)
        return Calibration(
            self.edges,
            {name: tuple(shares[name]) for name in DIMENSIONS},
            {name: tuple(counts[name]) for name in DIMENSIONS},
            {name: tuple(scales[:, column].tolist()) for column, name in enumerate(DIMENSIONS)},
            dict(zip(DIMENSIONS, mean.tolist(), strict=True)),
            dict(zip(DIMENSIONS, std.tolist(), strict=True)),
        )

    def _table(self, judged) -> tuple[dict[str, list[float | None]], dict[str, list[int]]]:
        bins = len(self.edges) - 1
        shares = {name: [None] * bins for name in DIMENSIONS}
        counts = {name: [0] * bins for name in DIMENSIONS}
        for index in range(bins):
            in_bin = [(a - b, labels) for bin_index, a, b, labels in judged if bin_index == index]
            if not in_bin:
                continue
            differences, labels = (torch.cat(parts) for parts in zip(*in_bin, strict=True))
            for key, (share, count) in accuracy(differences, labels).items():
                name = key.removeprefix("acc_")
                shares[name][index], counts[name][index] = share, int(count)
        return shares, counts

    def _gradient_scales(self, reward: LatentReward, pairs: int) -> Tensor:
        """[bins, 3] mean of ||grad_x r||_2 * sqrt(elements) over both sides of the first pairs."""
        bins = len(self.edges) - 1
        total, count = torch.zeros(bins, len(DIMENSIONS)), torch.zeros(bins, 1)
        for index, batch in self._batches(range(len(self.data))[:pairs]):
            scales = _gradient_scales(reward, batch)
            total[index] += scales.sum(0)
            count[index] += len(scales)
        return total / count.clamp(min=1)

    def _batches(self, rows: Sequence[int]) -> Iterator[tuple[int, LatentPairBatch]]:
        for index, (low, high) in enumerate(zip(self.edges, self.edges[1:], strict=False)):
            for start in range(0, len(rows), self.size):
                for batch in self.data.bin_batch(rows[start : start + self.size], low, high, self.seed):
                    yield index, batch


@torch.enable_grad()
def _gradient_scales(reward: LatentReward, batch: LatentPairBatch) -> Tensor:
    """[S, 3] of each clip. One sample's reward does not depend on the others', so that the gradient of the sum holds the
    gradient of each."""
    device = next(reward.parameters()).device
    latents, noise, sigma = (value.to(device) for value in (batch.latents, batch.noise, batch.sigma))
    x_t = add_noise(latents.float(), noise, sigma).requires_grad_(True)
    rewards = reward(x_t, sigma, {name: value.to(device) for name, value in batch.conditioning.items()})
    scales = []
    for column in range(rewards.shape[1]):
        (gradient,) = torch.autograd.grad(rewards[:, column].sum(), x_t, retain_graph=column + 1 < rewards.shape[1])
        scales.append(gradient.flatten(1).norm(dim=1) * gradient[0].numel() ** 0.5)
    return torch.stack(scales, 1).detach().cpu()
