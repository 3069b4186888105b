"""The forward pass of flow training: noisy clips, the method's loss, and its measures by noise level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from ...backbones.backbone import Backbone, Conditioning
from ...backbones.given_frames import noised
from .adapter import as_reference
from .method import Method, NoisedClips


class FlowModule(nn.Module):
    """Wraps a backbone and a method so that gradients of several processes are averaged over one module.

    It is the ``Network`` that methods see.

    Args:
        bins: equal bins of sigma in which measures are reported too.
        fps: of the clips, for networks that are told it.
    """

    def __init__(self, backbone: Backbone, method: Method, bins: int, fps: float) -> None:
        super().__init__()
        self.network = backbone.module
        self.backbone, self.method, self.bins = backbone, method, bins
        self.constants = backbone.constants(replace(backbone.sampling, fps=fps))

    @property
    def sharded_units(self) -> set[type[nn.Module]]:
        """What FSDP gathers at a time: a block; and what is outside of the blocks, for held-out pairs call the network itself."""
        return {type(block) for block in self.backbone.blocks} | {type(self.network)}

    def forward(self, groups: Sequence[NoisedClips]) -> tuple[Tensor, dict[str, tuple[float, float]]]:
        """Mean loss of a micro batch, whose samples are grouped by latent shape, and its measures as (mean, weight)."""
        losses, measures, levels = [], [], []
        device = next(self.network.parameters()).device
        for group in groups:
            group = group.to(device)
            loss, measured = self.method(self, group)
            losses.append(loss)
            measures.append(measured)
            levels += group.sigma.tolist()
        joined = {name: torch.cat([measured[name].float() for measured in measures]).tolist() for name in measures[0]}
        return torch.cat(losses).mean(), binned(joined, levels, self.bins)

    def velocity(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """v_theta [B, C, T', H, W] of the frames that are not given, at x_t [B, C, T, H, W], told ``sigma`` [B]."""
        return noised(self.velocity_of_all(x_t, sigma, conditioning), conditioning)

    def velocity_of_all(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """The same of all frames [B, C, T, H, W], for sampling."""
        return self.backbone.velocity(x_t, sigma, self._complete(conditioning, len(x_t)))

    @torch.no_grad()
    def reference(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """v_ref: the same network as it was before this training (see ``as_reference``), without a graph."""
        with as_reference(self.network):
            return self.velocity(x_t, sigma, conditioning)

    def _complete(self, conditioning: Conditioning, size: int) -> Conditioning:
        """With what a network is told besides the prompt, the same for all samples (embedded guidance, frame rate)."""
        missing = {name: value for name, value in self.constants.items() if name not in conditioning}
        return {**conditioning, **{name: value.expand(size) for name, value in missing.items()}}


def binned(measures: dict[str, list[float]], sigma: Sequence[float], bins: int) -> dict[str, tuple[float, float]]:
    """(mean, weight) of each measure over all samples, and in each bin of sigma as ``name/0.2-0.4``; NaN is left out."""
    means = {}
    for name, values in measures.items():
        there = [(value, level) for value, level in zip(values, sigma, strict=True) if not math.isnan(value)]
        means[name] = _mean([value for value, _ in there])
        for index in range(bins):
            low, high = index / bins, (index + 1) / bins
            inside = [value for value, level in there if min(int(level * bins), bins - 1) == index]
            means[f"{name}/{low:.2g}-{high:.2g}"] = _mean(inside)
    return {name: value for name, value in means.items() if value[1]}


def _mean(values: list[float]) -> tuple[float, float]:
    return (sum(values) / len(values), float(len(values))) if values else (0.0, 0.0)
