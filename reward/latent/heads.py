"""Heads that turn the trunk's tokens into one reward: pooled over space for each latent frame, then over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ...errors import CheckpointError

KINDS = ("motion", "attention", "mean", "query")


@dataclass(frozen=True)
class HeadConfig:
    """What a head looks like; the same for all dimensions.

    Attributes:
        kind: "motion": convolutions over the token grid and its changes from frame to frame before pooling, so that
            faults of motion are seen where they happen; "attention": learned attention over the tokens of each frame,
            then a small network over frames; "mean": the mean of all tokens; "query": learned queries that attend over all
            tokens of all frames (arXiv 2606.20310: 5 to 8 points above the mean on Wan 1.3B's frozen first blocks).
        width: hidden channels.
    """

    kind: str = "motion"
    width: int = 128

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise CheckpointError(f"head kind {self.kind!r} is unknown; choose one of {', '.join(KINDS)}.")
        if self.width < 1:
            raise CheckpointError(f"head width {self.width} must be at least 1.")

    def to_dict(self) -> dict:
        """A JSON-ready dictionary."""
        return asdict(self)


class RewardHead(nn.Module):
    """One dimension's reward of a token grid of any size: [B, T, H, W, D] tokens and sigma [B] -> [B] float32.

    All parts average or attend over space and time, so that a gradient with respect to one token shrinks as
    1 / (T H W), and a longer or larger clip is not worth more by its size.
    """

    def __init__(self, channels: int, config: HeadConfig) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.norm = nn.LayerNorm(channels)
        self.inwards = nn.Linear(channels, width)
        self.noise_level = NoiseLevel(width)
        self.motion = MotionLayers(width) if config.kind == "motion" else None
        pools = {"motion": FramePool, "attention": FramePool, "query": QueryPool}
        self.pool = pools[config.kind](width) if config.kind in pools else None
        pooled = width if config.kind == "mean" else 2 * width
        self.out = nn.Sequential(nn.LayerNorm(pooled), nn.Linear(pooled, width), nn.GELU(), nn.Linear(width, 1))

    def forward(self, tokens: Tensor, sigma: Tensor) -> Tensor:
        """[B, T, H, W, D], [B] -> [B], see the class."""
        grid = self.inwards(self.norm(tokens.float())) + self.noise_level(sigma)[:, None, None, None]
        if self.motion is not None:
            grid = self.motion(grid)
        pooled = grid.mean((1, 2, 3)) if self.pool is None else self.pool(grid)
        return self.out(pooled)[:, 0]


def rate_by_all(heads: Sequence[RewardHead], tokens: Tensor, sigma: Tensor) -> Tensor:
    """[B, heads]: what each head of one shape makes of the same tokens.

    Frozen heads of kind "motion" run as one with a dimension more, which halves their time on a CPU; their sums are in another
    order, so the rewards differ by rounding. The other kinds gain nothing by it. Heads that are trained run one by one, as
    FSDP expects.
    """
    trained = any(parameter.requires_grad for head in heads for parameter in head.parameters())
    if trained or len(heads) == 1 or heads[0].motion is None:
        return torch.stack([head(tokens, sigma) for head in heads], 1)
    weights, buffers = torch.func.stack_module_state([*heads])

    def one(weights: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(heads[0], (weights, buffers), (tokens, sigma))

    return torch.vmap(one, out_dims=1)({name: weight.detach() for name, weight in weights.items()}, buffers)


class NoiseLevel(nn.Module):
    """sigma [B] -> [B, width]: how noisy the latent is decides what its tokens are evidence of."""

    FREQUENCIES = 16

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2 * self.FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, sigma: Tensor) -> Tensor:
        """[B] -> [B, width], see the class."""
        steps = torch.arange(self.FREQUENCIES, device=sigma.device, dtype=torch.float32) / self.FREQUENCIES
        angles = sigma.float()[:, None] * math.pi * torch.exp2(4 * steps)
        return self.layers(torch.cat([angles.sin(), angles.cos()], -1))


class MotionLayers(nn.Module):
    """Two residual convolutions over time and space; the second also sees how tokens change from frame to frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.first = nn.Conv3d(width, width, 3, padding=(0, 1, 1))
        self.second = nn.Conv3d(2 * width, width, 3, padding=(0, 1, 1))

    def forward(self, grid: Tensor) -> Tensor:
        """[B, T, H, W, width] -> the same shape."""
        grid = grid + self._convolved(self.first, F.gelu(self.first_norm(grid)))
        change = torch.diff(grid, dim=1, prepend=grid[:, :1])
        both = torch.cat([self.second_norm(grid), change], -1)
        return grid + self._convolved(self.second, F.gelu(both))

    @staticmethod
    def _convolved(layer: nn.Conv3d, grid: Tensor) -> Tensor:
        return layer(with_ends_repeated(grid, 1).movedim(-1, 1)).movedim(1, -1)


class FramePool(nn.Module):
    """[B, T, H, W, width] -> [B, 2 width]: attention over each frame's tokens, layers over frames, mean and spread."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = nn.Linear(width, 4)  # four places to look at in each frame
        self.looks = nn.Linear(4 * width + width, width)
        self.norm = nn.LayerNorm(width)
        self.over_time = nn.Conv1d(width, width, 3)

    def forward(self, grid: Tensor) -> Tensor:
        """[B, T, H, W, width] -> [B, 2 width], see the class."""
        tokens = grid.flatten(2, 3)
        weights = self.attention(tokens).softmax(dim=2)
        looked = torch.einsum("btnk,btnc->btkc", weights, tokens).flatten(2)
        frames = self.looks(torch.cat([looked, tokens.mean(2)], -1))
        padded = with_ends_repeated(self.norm(frames), 1)
        frames = frames + F.gelu(self.over_time(padded.movedim(1, 2))).movedim(1, 2)
        mean = frames.mean(1)
        spread = ((frames - mean[:, None]).square().mean(1) + 1e-6).sqrt()
        return torch.cat([mean, spread], -1)


class QueryPool(nn.Module):
    """[B, T, H, W, width] -> [B, 2 width]: what learned queries find among all tokens, and the tokens' mean.

    A token is found by what it is and by its place in the clip, which is told as a share of each side, so that any size will
    do.
    """

    QUERIES = 4
    WAVES = 4

    def __init__(self, width: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(self.QUERIES, width))
        self.place = nn.Linear(3 * 2 * self.WAVES, width)
        self.norm = nn.LayerNorm(width)
        self.keys, self.values = nn.Linear(width, width), nn.Linear(width, width)
        self.found = nn.Linear(self.QUERIES * width, width)

    def forward(self, grid: Tensor) -> Tensor:
        """[B, T, H, W, width] -> [B, 2 width], see the class."""
        tokens = self.norm(grid + self.place(self._places(grid))).flatten(1, 3)
        scores = self.keys(tokens) @ self.queries.T / math.sqrt(tokens.shape[-1])
        looked = scores.softmax(1).transpose(1, 2) @ self.values(tokens)
        return torch.cat([self.found(looked.flatten(1)), tokens.mean(1)], -1)

    def _places(self, grid: Tensor) -> Tensor:
        """[T, H, W, 3 * 2 WAVES] sines and cosines of where a token's middle lies between 0 and 1 on each side."""
        sides = grid.shape[1:4]
        waves = math.pi * torch.arange(1, self.WAVES + 1, device=grid.device, dtype=torch.float32)
        parts = []
        for axis, size in enumerate(sides):
            middles = (torch.arange(size, device=grid.device, dtype=torch.float32) + 0.5) / size
            angles = middles[:, None] * waves
            shape = [size if other == axis else 1 for other in range(3)]
            parts.append(torch.cat([angles.sin(), angles.cos()], -1).view(*shape, -1).expand(*sides, -1))
        return torch.cat(parts, -1)


def with_ends_repeated(frames: Tensor, dim: int) -> Tensor:
    """The first and the last frame once more at their ends: one frame is a clip that stands still.

    Slices, since the gradient of torch's replicating pad is not reproducible on CUDA.
    """
    last = frames.shape[dim] - 1
    return torch.cat([frames.narrow(dim, 0, 1), frames, frames.narrow(dim, last, 1)], dim)
