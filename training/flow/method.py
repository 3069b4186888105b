"""What a loss is to the trainer: the samples and the network that it sees, and the class that every file in ``methods/`` has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from ...backbones.flow_path import add_noise, velocity_target
from ...cli.options import CommandConfig
from ...preferences.preference_file import ResolvedPair
from ..loop.evaluation_plan import FORWARD_AND_BACKWARD
from .config import DataConfig, FlowConfig
from .rows import FlowRow

if TYPE_CHECKING:
    import torch  # a method names its options: the help of its command must not wait for it
    from torch import Tensor

    from ...backbones.conditioning import Conditioning

Reduction = Literal["mean", "sum"]


@dataclass(frozen=True)
class NoisedClips:
    """Samples of one latent shape; every clip of a sample gets the same noise and the same level.

    Attributes:
        clips: side -> [B, C, T, H, W] clean latents; the sides that the method asked for.
        noise: [B, C, T, H, W] standard normal.
        sigma: [B] in [0, 1]; it makes x_t, and it is what the network is told.
        conditioning: of the B prompts.
        weight: [B] how much each sample counts.
        target: [B] probability that the first side is the better one: 1, or 0.5 for a tie.
        real: real clips for methods that ask for them, with noise and levels of their own.
    """

    clips: dict[str, Tensor]
    noise: Tensor
    sigma: Tensor
    conditioning: Conditioning
    weight: Tensor
    target: Tensor
    real: NoisedClips | None = None

    def __len__(self) -> int:
        return len(self.sigma)

    def row(self, number: int) -> NoisedClips:
        """One sample as a batch of one."""
        one = slice(number, number + 1)
        return NoisedClips(
            {side: clips[one] for side, clips in self.clips.items()},
            self.noise[one],
            self.sigma[one],
            {name: value[one] for name, value in self.conditioning.items()},
            self.weight[one],
            self.target[one],
            None if self.real is None else self.real.row(number),
        )

    def noisy(self, side: str) -> Tensor:
        """x_t of a side."""
        return add_noise(self.clips[side], self.noise, self.sigma)

    def velocity(self, side: str) -> Tensor:
        """The velocity that takes x_0 to x_1, which the network is to say, of the frames that are not given."""
        from ...backbones.given_frames import noised

        return noised(velocity_target(self.clips[side], self.noise), self.conditioning)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> NoisedClips:
        """All tensors on a device; ``dtype`` for latents, noise and levels."""

        def moved(values: dict[str, Tensor]) -> dict[str, Tensor]:
            return {name: value.to(device, non_blocking=True) for name, value in values.items()}

        def cast(value: Tensor) -> Tensor:
            return value.to(device, dtype or value.dtype, non_blocking=True)

        return replace(
            self,
            clips={name: cast(value) for name, value in self.clips.items()},
            noise=cast(self.noise),
            sigma=cast(self.sigma),
            conditioning=moved(self.conditioning),
            weight=cast(self.weight),
            target=cast(self.target),
            real=None if self.real is None else self.real.to(device, dtype),
        )


class Network(Protocol):
    """The network being trained. Both functions take x_t [B, C, T, H, W], sigma [B] and the B prompts' conditioning.

    What they say is of the frames that are not given: of image-to-video by its first frame [B, C, T - 1, H, W].
    """

    def velocity(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """v_theta: with the adapter."""

    def reference(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """v_ref: as the network was before this training, without a graph."""

    def parameters(self) -> Iterator[Tensor]:
        """Of the network, frozen ones too."""


class Method(ABC):
    """A loss, and the rows that it trains on. Its options enter a run's fingerprint by themselves.

    A class attribute ``name`` makes it ``videoalign train NAME`` and names the section of its options; the docstring of its
    module is the command's help, the first line its summary.

    Args:
        options: of the class ``options_class``.

    Attributes:
        options_class: model of its options, all with defaults or the section must be given.
        sides: names of the clips of a sample.
        takes_clips: whether it can train on single clips (``data.clips``) too.
        real_clips: rows of real clips, one of which goes with each sample; empty for most methods.
        description: what a LoRA file says about it: field of ``LoraMetadata`` -> value.
        held_out_beta: beta of the logit of held-out pairs (mean over latent elements); accuracy does not depend on it.
    """

    name: ClassVar[str]
    options_class: ClassVar[type[CommandConfig]]
    sides: ClassVar[tuple[str, ...]]
    takes_clips: ClassVar[bool] = False
    real_clips: Sequence[FlowRow] = ()
    held_out_beta: float = 500.0

    def __init__(self, options: Any) -> None:
        self.options = options
        self.description: dict[str, Any] = {"method": self.name}

    @classmethod
    def check(cls, options: Any, config: FlowConfig) -> None:
        """Refuse options of the method that do not go together with others of the run; nothing is refused by default.

        Raises:
            ValueError: the message names both options.
        """
        return

    @property
    def passes(self) -> float:
        """What a row takes in forward passes of one clip (see ``evaluation_plan``); those of the reference are to be added."""
        return FORWARD_AND_BACKWARD * (len(self.sides) + bool(self.real_clips))

    @classmethod
    def ways(cls, options: Any, config: FlowConfig) -> list[Any]:
        """Options that give the same gradient, the fastest first and last what takes least memory: the run takes the first that fits.

        ``options`` themselves where they leave nothing open.
        """
        return [options]

    @abstractmethod
    def rows(self, sources: Sequence[ResolvedPair], data: DataConfig) -> tuple[list[FlowRow], str]:
        """The rows that pairs give, and a sentence on what was made of them."""

    @abstractmethod
    def __call__(self, network: Network, batch: NoisedClips) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of each sample [B], and what is worth watching: name -> [B], NaN where it does not apply."""


def flow_error(velocity: Tensor, target: Tensor, reduction: Reduction) -> Tensor:
    """e = || v - (x_1 - x_0) ||^2 per sample [B]: mean or sum over a clip's latent elements.

    Subtracted, squared and reduced in float32 at least: bfloat16 would quantise the difference of two errors away.
    """
    import torch

    dtype = torch.promote_types(torch.promote_types(velocity.dtype, target.dtype), torch.float32)
    squares = (velocity.to(dtype) - target.to(dtype)).square().flatten(1)
    return squares.mean(1) if reduction == "mean" else squares.sum(1)


def both(conditioning: Conditioning) -> Conditioning:
    """The conditioning of a batch that holds two clips of every prompt, one half after the other."""
    import torch

    return {name: torch.cat([value, value]) for name, value in conditioning.items()}
