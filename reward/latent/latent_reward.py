"""The latent reward model: VQ, MQ and TA of a noisy latent (paper, section 4.3)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from ...backbones.backbone import Backbone, Conditioning
from ...backbones.devices import autocast
from ...errors import CheckpointError, VideoAlignError
from ..dimensions import DIMENSIONS
from .calibration import Calibration
from .heads import HeadConfig, RewardHead, rate_by_all

BLOCK_SHARE = 0.27
"""Share of the video model's blocks that the paper's latent reward model keeps: 8 of Wan 1.3B's 30."""


@dataclass(frozen=True)
class TrainingRecord:
    """How a latent reward was trained.

    Attributes:
        data: hash of pairs and labels.
        text_encoder, vae: identities of what encoded captions and clips.
        clean_latents: it never saw noise (the ablation).
        timesteps: how noise levels were drawn.
        loss: bt or btt.
        steps, pairs, held_out: optimizer steps, training pairs, held-out pairs.
    """

    data: str = ""
    text_encoder: str = ""
    vae: str = ""
    clean_latents: bool = False
    timesteps: str = "uniform"
    loss: str = "bt"
    steps: int = 0
    pairs: int = 0
    held_out: int = 0

    def to_dict(self) -> dict:
        """A JSON-ready dictionary."""
        return asdict(self)


class LatentReward(nn.Module):
    """The first blocks of a video model and one pooled head a dimension.

    Args:
        trunk: a backbone with as many blocks as the reward keeps.
        head: what the heads look like.
        calibration: what was measured when training ended; None before.
        record: how it was trained.

    Attributes:
        trunk, network: the backbone, and its diffusers module, whose output layers a reward has no use for.
        heads: ``RewardHead`` by dimension.
    """

    def __init__(
        self,
        trunk: Backbone,
        head: HeadConfig | None = None,
        calibration: Calibration | None = None,
        record: TrainingRecord | None = None,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.network: Any = trunk.module  # diffusers' classes differ in what they have
        self.head_config = head or HeadConfig()
        self.calibration, self.record = calibration, record or TrainingRecord()
        self.width = cast(nn.Linear, trunk.module.proj_out).in_features
        self.heads = nn.ModuleDict({name: RewardHead(self.width, self.head_config) for name in DIMENSIONS})

    @property
    def recomputes(self) -> bool:
        """Whether blocks are run again for the gradient instead of keeping what they made."""
        return self.network.is_gradient_checkpointing

    def recompute(self, on: bool) -> None:
        """Run each block again for the gradient, or keep what it made: a third more time, a fraction of the memory."""
        self.network.enable_gradient_checkpointing() if on else self.network.disable_gradient_checkpointing()

    def rewards(
        self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning, counted: Collection[str] = DIMENSIONS
    ) -> Tensor:
        """Raw rewards, differentiable with respect to ``x_t``.

        Args:
            x_t: [B, C, T, H, W] noisy latents in the space that the sampler sees, any size.
            sigma: [B] noise levels in [0, 1], 0 clean.
            conditioning: of the B prompts.
            counted: dimensions whose gradient is asked for; the others have none, and cost no graph.

        Returns:
            [B, 3] float32: VQ, MQ, TA in the unit of the preference model (a lead of 1 wins 73 % of the time);
            ``calibration`` has their mean and spread.

        Raises:
            VideoAlignError: latents of another channel count, a sigma for each frame, or a conditioning that the trunk
                cannot use.
        """
        channels = self.trunk.latent_format.channels
        if x_t.ndim != 5 or x_t.shape[1] != channels:
            raise VideoAlignError(
                f"The latent reward reads {self.trunk.latent_format.name} latents [batch, {channels}, frames, height, width]; found {tuple(x_t.shape)}. "
                "Choose a latent reward model that was trained for this video model."
            )
        if sigma.shape != x_t.shape[:1]:
            raise VideoAlignError(
                f"sigma must be one number a sample, {tuple(x_t.shape[:1])}; found {tuple(sigma.shape)}."
            )
        return self.rate(self.tokens(x_t, sigma, conditioning), sigma, counted)

    def tokens(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """[B, T', H', W', D]: what the trunk makes of noisy latents, in the type of ``x_t``; arguments as of ``rewards``."""
        return self.trunk.features(x_t, sigma, conditioning).unflatten(1, _grid(x_t, self.trunk.patch))

    def rate(self, tokens: Tensor, sigma: Tensor, counted: Collection[str] = DIMENSIONS) -> Tensor:
        """[B, 3] float32 rewards of the trunk's tokens [B, T', H', W', D] at noise levels sigma [B]; ``counted`` as of ``rewards``."""
        rated: dict[str, Tensor] = {}
        with autocast(tokens.device, enabled=False):
            for with_graph in (True, False):
                names = [name for name in DIMENSIONS if (name in counted) is with_graph]
                if not names:
                    continue
                heads = [cast(RewardHead, self.heads[name]) for name in names]
                with torch.set_grad_enabled(with_graph and torch.is_grad_enabled()):
                    rated |= zip(names, rate_by_all(heads, tokens, sigma).unbind(1), strict=True)
            return torch.stack([rated[name] for name in DIMENSIONS], 1)

    forward = rewards


def _grid(x_t: Tensor, patch: tuple[int, int, int]) -> tuple[int, int, int]:
    """(T', H', W') of the trunk's tokens; the last patch of a side is filled up."""
    frames, rows, columns = (-(-size // side) for size, side in zip(x_t.shape[2:], patch, strict=True))
    return frames, rows, columns


def block_count(total: int, share: float = BLOCK_SHARE) -> int:
    """How many of ``total`` blocks a trunk keeps: the share, rounded, at least 1."""
    if total < 1:
        raise CheckpointError(f"a video model with {total} blocks has no trunk.")
    return min(total, max(1, round(share * total)))
