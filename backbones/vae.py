"""Video autoencoders: clips to latents as ComfyUI's sampler sees them, and back.

A subclass (``vae_wan.py``, ...) holds a diffusers module; ``vae_loading.py`` reads one from a file.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..errors import ClipSizeError
from .latent_format import LatentFormat


class VAE:
    """A video autoencoder; subclasses know their names, sizes and statistics.

    Attributes:
        module: the diffusers autoencoder, frozen, in evaluation mode.
        latent_format: the latent space.
        mean, std: [C] of the raw latents; normalised = (raw - mean) / std.
        weights: names the weights, for cache keys; None where they come from no file (their bytes are hashed then).
    """

    diffusers_class: ClassVar[str]
    title: ClassVar[str]  # what messages call it

    def __init__(self, module: nn.Module, weights: str | None = None):
        self.module = module.eval().requires_grad_(False)
        self.weights = weights
        self.latent_format = self.format_of(dict(module.config))
        self.mean, self.std = (values.float() for values in self.statistics())

    # What a subclass tells.

    @classmethod
    def build_module(cls, config: dict) -> nn.Module:
        """The autoencoder of a configuration with random weights: diffusers' ``diffusers_class``."""
        import diffusers

        return getattr(diffusers, cls.diffusers_class).from_config(config)

    @staticmethod
    def recognises(shapes: dict[str, tuple[int, ...]]) -> bool:
        """Whether a single file with these tensors is one of these, in the original (ComfyUI) naming."""
        raise NotImplementedError

    @staticmethod
    def config_of(shapes: dict[str, tuple[int, ...]], metadata: dict[str, str]) -> dict:
        """diffusers configuration of a single file."""
        raise NotImplementedError

    @staticmethod
    def format_of(config: dict) -> LatentFormat:
        """The latent space of a configuration."""
        raise NotImplementedError

    @classmethod
    def original_names(cls, module: nn.Module) -> dict[str, str]:
        """Original (ComfyUI) name of each of diffusers' tensors."""
        raise NotImplementedError

    @classmethod
    def file_names(cls, module: nn.Module, shapes: dict[str, tuple[int, ...]]) -> dict[str, str]:
        """Name in a single file of each of diffusers' tensors."""
        return cls.original_names(module)

    @staticmethod
    def adapt(module: nn.Module, metadata: dict[str, str]) -> None:
        """Settle what a single file determines and diffusers' configuration does not express."""

    @staticmethod
    def may_ignore(name: str) -> bool:
        """Whether a tensor of a single file is known and not needed."""
        return False

    def statistics(self) -> tuple[Tensor, Tensor]:
        """[C] mean and [C] standard deviation of the raw latents; one scale for all channels, where a family has no more."""
        channels = self.module.config.latent_channels
        return torch.zeros(channels), torch.full((channels,), 1 / self.module.config.scaling_factor)

    def set_tiling(self, tiling: bool) -> None:
        """Encode and decode in overlapping tiles: less memory, slightly different values near the seams."""
        self.module.enable_tiling() if tiling else self.module.disable_tiling()
        self.module.use_slicing = tiling

    def encode_raw(self, video: Tensor) -> Tensor:
        """Mode of the posterior in the VAE's own units."""
        return self.module.encode(video).latent_dist.mode()

    def decode_raw(self, latents: Tensor) -> Tensor:
        """diffusers' decoder on raw latents."""
        return self.module.decode(latents).sample

    # What all share.

    @property
    def tiling(self) -> bool:
        """Whether big clips are cut into tiles."""
        return self.module.use_tiling

    @property
    def identity(self) -> str:
        """Names everything that the latents of a clip depend on, for cache keys."""
        return identity_of_weights(self.weights or _digest(self.module), self.dtype, self.tiling)

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights and of the arithmetic."""
        return self.module.dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.module.device

    def to(self, device: torch.device | str) -> VAE:
        """Move the weights."""
        self.module.to(device)
        return self

    def encode(self, video: Tensor) -> Tensor:
        """Latents of clips: the mode of the posterior, so that the same clip always gives the same latents.

        Args:
            video: [B, 3, T, H, W] RGB in -1..1; T = 1 + a multiple of the temporal stride, H and W multiples of the
                spatial stride.

        Returns:
            [B, C, T', H', W'] float32, normalised, on the device of ``video``.

        Raises:
            ClipSizeError: the size does not fit; the message names the nearest sizes that do.
        """
        check_clip(video, self.latent_format)
        raw = self.encode_raw(video.to(self.device, self.dtype))
        return self._scaled(raw.float(), into=True).to(video.device)

    def decode(self, latents: Tensor) -> Tensor:
        """[B, 3, T, H, W] float32 clips in -1..1 of normalised latents [B, C, T', H', W'], on their device.

        Raises:
            ClipSizeError: another number of dimensions or channels.
        """
        if latents.ndim != 5 or latents.shape[1] != self.latent_format.channels:
            raise ClipSizeError(
                f"latents of shape {list(latents.shape)} are not {self.latent_format.name} latents; "
                f"expected [B, {self.latent_format.channels}, T, H, W]."
            )
        raw = self._scaled(latents.to(self.device).float(), into=False).to(self.dtype)
        return self.decode_raw(raw).float().clamp(-1, 1).to(latents.device)

    def _scaled(self, latents: Tensor, into: bool) -> Tensor:
        mean, std = (values.to(latents.device).view(1, -1, 1, 1, 1) for values in (self.mean, self.std))
        return (latents - mean) / std if into else latents * std + mean

    def original_state_dict(self) -> dict[str, Tensor]:
        """The weights under the names, and in the shapes, that ComfyUI's VAE loader reads."""
        names = self.original_names(self.module)
        return {names[name]: self.to_original(names[name], tensor) for name, tensor in self.module.state_dict().items()}

    @staticmethod
    def to_original(name: str, tensor: Tensor) -> Tensor:
        """A tensor in the shape of the original file."""
        return tensor

    @staticmethod
    def from_original(tensor: Tensor, shape: torch.Size) -> Tensor:
        """A tensor of the original file in diffusers' shape."""
        return tensor


def check_clip(video: Tensor, latent_format: LatentFormat) -> None:
    """Check that a clip [B, 3, T, H, W] can be encoded.

    Raises:
        ClipSizeError: another number of dimensions or channels, or a size that does not fit the strides.
    """
    if video.ndim != 5 or video.shape[1] != 3:
        raise ClipSizeError(f"a clip must be [B, 3, T, H, W]; got shape {list(video.shape)}.")
    latent_format.shape(*video.shape[2:])


def _digest(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def identity_of_weights(weights: str, dtype: torch.dtype, tiling: bool) -> str:
    """``VAE.identity`` of a VAE with these weights."""
    return f"{weights}-{str(dtype).removeprefix('torch.')}{'-tiled' if tiling else ''}"
