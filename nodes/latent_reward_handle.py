"""A latent reward model in ComfyUI's hands: what travels along a LATENT_REWARD wire."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..reward.dimensions import DIMENSIONS
from ..reward.latent.gradient_memory import fit_gradient, gradient_bytes
from .comfy_compat import model_management
from .whole_model_patcher import WholeModelPatcher

if TYPE_CHECKING:
    import torch

    from ..reward.latent.calibration import Calibration
    from ..reward.latent.latent_reward import LatentReward


class LatentRewardHandle:
    """A latent reward model that ComfyUI's memory manager moves to the GPU for sampling, and away when others need the room.

    Attributes:
        name: what people call it.
        serial: another one for each reading of a file.
        reward: the library's model; no other model shares its weights, which are ordinary tensors.
        patcher: the memory manager's hold on it.
    """

    def __init__(
        self, name: str, reward: LatentReward, load_device: torch.device, offload_device: torch.device
    ) -> None:
        self.name = name
        self.serial = uuid.uuid4().hex
        self.reward = reward
        self.patcher = WholeModelPatcher(reward, load_device, offload_device=offload_device)

    @classmethod
    def load(cls, name: str, path: Path, dtype: torch.dtype | None, on_cpu: bool) -> LatentRewardHandle:
        """Read a file; its weights go to the GPU when they are first used.

        Args:
            dtype: arithmetic of the trunk; None for bfloat16 on a GPU and float32 elsewhere.
            on_cpu: never use the GPU.

        Raises:
            CheckpointError: the file cannot be used.
        """
        import torch

        from ..reward.latent.reward_file import load_latent_reward

        cpu = torch.device("cpu")
        load_device = cpu if on_cpu else model_management.get_torch_device()
        offload_device = cpu if on_cpu else model_management.unet_offload_device()
        if dtype is None:
            dtype = torch.float32 if load_device.type == "cpu" else torch.bfloat16
        return cls(name, load_latent_reward(path, offload_device, dtype), load_device, offload_device)

    @property
    def calibration(self) -> Calibration | None:
        """What was measured when it was trained."""
        return self.reward.calibration

    @property
    def latent_space(self) -> tuple[str, int]:
        """Name and number of channels of the latents that it judges."""
        space = self.reward.trunk.latent_format
        return space.name, space.channels

    def make_room(self, model, sampled: Sequence[int], shape: Sequence[int]) -> None:
        """Load it beside a diffusion model, with memory for its gradient; a large gradient is made in pieces.

        Args:
            model: the ModelPatcher that samples, just loaded.
            sampled: shape of the latents as the sampler holds them.
            shape: of the videos in them, [B, C, T, H, W].
        """
        fit_gradient(self.reward, shape, model_management.get_total_memory(self.patcher.load_device))
        beside = [model] if model.load_device == self.patcher.load_device else []
        sampling = model.model.memory_required([2 * sampled[0], *sampled[1:]]) if beside else 0
        needed = max(sampling, gradient_bytes(self.reward, shape))  # one runs after the other
        model_management.load_models_gpu([*beside, self.patcher], memory_required=needed)

    def rewards(
        self, x_t: torch.Tensor, sigma: torch.Tensor, conditioning, counted: Collection[str] = DIMENSIONS
    ) -> torch.Tensor:
        """``LatentReward.rewards`` where its weights are; the result is on x_t's device."""
        device = self.patcher.load_device
        if self.reward.trunk.device.type != device.type:  # unloaded while the sampler runs
            model_management.load_models_gpu([self.patcher], memory_required=gradient_bytes(self.reward, x_t.shape))
        told = {name: value.to(device) for name, value in conditioning.items()}
        return self.reward.rewards(x_t.to(device), sigma.to(device), told, counted).to(x_t.device)
