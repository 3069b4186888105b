"""What is measured of a latent reward on held-out pairs: accuracy by noise level, spread, and steepness."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ...backbones.flow_path import add_noise
from ...reward.dimensions import DIMENSIONS
from ...reward.latent.calibration import Calibration, even_edges
from ...reward.latent.latent_reward import LatentReward
from ..pair_targets import accuracy
from .pairs import LatentPairBatch, LatentPairData, Seen
from .preference import PreferenceStep

LEAST_STD = 1e-6


Judged = list[tuple[int, list[int], Tensor, Tensor, Tensor]]
"""(bin, rows of P pairs, rewards of A [P, 3], of B [P, 3], labels [P, 3]) of each batch; all on the CPU."""


class HeldOut:
    """Held-out pairs, each judged in every bin of sigma at fixed noises: once both clips at the same, as in training, and once
    each clip at its own, as the seeds of one prompt are met in a search.

    Args:
        pairs: how many of the data's pairs are used; all by default.
        size: pairs that are held in memory at once.
    """

    def __init__(self, data: LatentPairData, bins: int, seed: int, size: int) -> None:
        self.data, self.seed, self.size = data, seed, size
        self.edges = even_edges(bins)

    def rewards(self, step: PreferenceStep, pairs: int | None = None, within: bool = False) -> Judged:
        """What every pair gets in every bin.

        With several processes each judges a share of the pairs, and all get everything.

        Args:
            within: each clip has its own noise, the same in all pairs of its prompt.
        """
        from accelerate import PartialState
        from accelerate.utils import gather_object

        process = PartialState()
        rows = range(len(self.data))[:pairs]
        mine = list(rows[process.process_index :: process.num_processes])
        judged: Judged = []
        with torch.no_grad():
            for index, part, batch in self._batches(mine, within):
                a, b = step.rewards(batch)
                judged.append((index, part, a.cpu(), b.cpu(), batch.labels))
        return gather_object(judged) if process.num_processes > 1 else judged

    def seen(self, pairs: int | None = None) -> list[Seen]:
        """All that the trunk sees when the first pairs are judged, within prompts too."""
        sides = (
            look(row, low, high, self.seed)
            for low, high in self._bins()
            for row in range(len(self.data))[:pairs]
            for look in (self.data.in_bin, self.data.in_bin_within_prompt)
        )
        return list(dict.fromkeys(side for both in sides for side in both))

    def accuracy(self, step: PreferenceStep, pairs: int | None = None) -> dict[str, float]:
        """``acc_D`` over all bins and ``acc_D/0-0.1`` by bin of sigma for each dimension, ``acc`` the mean; and ``within_D``, the
        mean over prompts of what is right within them, likewise."""
        shares, _ = self._table(self.rewards(step, pairs))
        metrics, overall = self._metrics("acc", shares)
        within, _ = self._within_table(self.rewards(step, pairs, within=True))
        metrics |= self._metrics("within", within)[0]
        return {**metrics, "acc": sum(overall) / len(overall)} if overall else {}

    def _metrics(self, name: str, shares: dict[str, list[float | None]]) -> tuple[dict[str, float], list[float]]:
        """By name, and each dimension's mean over bins."""
        metrics, overall = {}, []
        for dimension in DIMENSIONS:
            measured = {index: share for index, share in enumerate(shares[dimension]) if share is not None}
            if measured:
                overall.append(sum(measured.values()) / len(measured))
                metrics[f"{name}_{dimension}"] = overall[-1]
                for index, share in measured.items():
                    low, high = self.edges[index], self.edges[index + 1]
                    metrics[f"{name}_{dimension}/{low:.2g}-{high:.2g}"] = share
        return metrics, overall

    def calibration(self, step: PreferenceStep, gradient_pairs: int) -> Calibration:
        """All that is written into the file (see ``Calibration``)."""
        judged = self.rewards(step)
        shares, counts = self._table(judged)
        rewards = torch.cat([side for _, _, a, b, _ in judged for side in (a, b)]) if judged else None
        mean, std = (torch.zeros(len(DIMENSIONS)),) * 2  # of nothing
        if rewards is not None:
            mean, std = rewards.mean(0), rewards.std(0).clamp(min=LEAST_STD)
        within, prompts = self._within_table(self.rewards(step, within=True))
        scales = self._gradient_scales(step.reward, gradient_pairs)
        return Calibration(
            self.edges,
            {name: tuple(shares[name]) for name in DIMENSIONS},
            {name: tuple(counts[name]) for name in DIMENSIONS},
            {name: tuple(scales[:, column].tolist()) for column, name in enumerate(DIMENSIONS)},
            dict(zip(DIMENSIONS, mean.tolist(), strict=True)),
            dict(zip(DIMENSIONS, std.tolist(), strict=True)),
            {name: tuple(within[name]) for name in DIMENSIONS},
            {name: tuple(prompts[name]) for name in DIMENSIONS},
        )

    def _table(self, judged: Judged) -> tuple[dict[str, list[float | None]], dict[str, list[int]]]:
        """Shares and numbers of pairs, by dimension and bin."""
        shares, counts = self._empty(None), self._empty(0)
        for index in range(len(self.edges) - 1):
            in_bin = [(a - b, labels) for bin_index, _, a, b, labels in judged if bin_index == index]
            if not in_bin:
                continue
            differences, labels = (torch.cat(parts) for parts in zip(*in_bin, strict=True))
            for key, (share, count) in accuracy(differences, labels).items():
                name = key.removeprefix("acc_")
                shares[name][index], counts[name][index] = share, int(count)
        return shares, counts

    def _within_table(self, judged: Judged) -> tuple[dict[str, list[float | None]], dict[str, list[int]]]:
        """Means over prompts, each counting the same, and numbers of prompts, by dimension and bin."""
        means, counts = self._empty(None), self._empty(0)
        for index in range(len(self.edges) - 1):
            of_prompt: dict[str, list[tuple[Tensor, Tensor]]] = {}
            for bin_index, rows, a, b, labels in judged:
                if bin_index == index:
                    for place, row in enumerate(rows):
                        lead = a[place] - b[place], labels[place]
                        of_prompt.setdefault(self.data.pairs[row].prompt, []).append(lead)
            shares: dict[str, list[float]] = {name: [] for name in DIMENSIONS}
            for _, leads in sorted(of_prompt.items()):
                for key, (share, _) in accuracy(*(torch.stack(part) for part in zip(*leads, strict=True))).items():
                    shares[key.removeprefix("acc_")].append(share)
            for name, each in shares.items():
                if each:
                    means[name][index], counts[name][index] = sum(each) / len(each), len(each)
        return means, counts

    def _empty(self, value: float | None) -> dict:
        return {name: [value] * (len(self.edges) - 1) for name in DIMENSIONS}

    def _gradient_scales(self, reward: LatentReward, pairs: int) -> Tensor:
        """[bins, 3] mean of ||grad_x r||_2 * sqrt(elements) over both sides of the first pairs."""
        bins = len(self.edges) - 1
        total, count = torch.zeros(bins, len(DIMENSIONS)), torch.zeros(bins, 1)
        for index, _, batch in self._batches(range(len(self.data))[:pairs], features=False):
            scales = _gradient_scales(reward, batch)
            total[index] += scales.sum(0)
            count[index] += len(scales)
        return total / count.clamp(min=1)

    def _bins(self) -> list[tuple[float, float]]:
        return list(itertools.pairwise(self.edges))

    def _batches(
        self, rows: Sequence[int], within: bool = False, features: bool = True
    ) -> Iterator[tuple[int, list[int], LatentPairBatch]]:
        """(bin, rows, batch); pairs of another latent shape make a batch of their own."""
        look = self.data.in_bin_within_prompt if within else self.data.in_bin
        for index, (low, high) in enumerate(self._bins()):
            for start in range(0, len(rows), self.size):
                part = rows[start : start + self.size]
                sides = [look(row, low, high, self.seed) for row in part]
                for used, batch in self.data.batches_with_rows(part, sides, features):
                    yield index, used, batch


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
